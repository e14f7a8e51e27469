/** Readers of file stores: damaged, hostile and replaced files give the right rows or a typed error. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256, writeManifest } from '@sconelm/artifact';
import { expect, test } from 'vitest';
import {
  flawOf,
  forDamage,
  forEveryCallOfReader,
  forHostileJson,
  hostilePaths,
  inFolder,
  objectIn,
  randomFrom,
  runSeed,
  times,
  treeOf,
} from '../../../tools/faults/index.mjs';
import { createStore, deleteStore, openStore, type RowStore } from './index.js';

const [rows, width] = [96, 64]; // 24 KiB
const all = Uint32Array.from({ length: rows }, (_, id) => id);
const urlIn = (folder: string, name = 'store') => `file:${join(folder, name)}`;
const valueAt = (id: number, column: number, generation: number) => id * 1000 + column + generation / 2;

async function fill(folder: string, generation: number, name?: string): Promise<void> {
  const description = { rows, width, dtype: 'f32' as const, binding: { fgrams: 'set', model: `model ${generation}` } };
  await using writer = await createStore(urlIn(folder, name), description);
  await writer.write(
    all,
    Float32Array.from({ length: rows * width }, (_, i) => valueAt(Math.floor(i / width), i % width, generation)),
  );
  await writer.publish();
}

async function rowsOf(store: RowStore): Promise<Float32Array> {
  const into = new Float32Array(store.rows * store.width);
  await store.read(
    Uint32Array.from({ length: store.rows }, (_, id) => id),
    into,
  );
  return into;
}

async function read(folder: string, { verifies = true, name = 'store' } = {}): Promise<Float32Array> {
  await using store = await openStore(urlIn(folder, name), { expect: { model: 'model 2' } });
  if (verifies) await store.verify();
  return await rowsOf(store); // before the store is closed
}

test('every call of a reader failing', async () => {
  const tried = await forEveryCallOfReader((folder) => fill(folder, 2), read);
  expect(tried.EIO).toBeGreaterThan(5);
});

test('damage to the manifest is refused', () =>
  inFolder(async (folder) => {
    await fill(folder, 1, 'older');
    await fill(folder, 2);
    const older = { file: join(folder, 'older/manifest.json'), blocks: times(50, 1000) };
    const seen = await forDamage(join(folder, 'store/manifest.json'), () => read(folder), { bits: 'every', blockBytes: 64, older });
    expect(seen.right).toBe(0);
    expect(seen.refused).toBeGreaterThan(1500);
  }));

test('damage to the rows is found by verify; plain reads find what is cut off', () =>
  inFolder(async (folder) => {
    await fill(folder, 1, 'older');
    await fill(folder, 2);
    const file = join(folder, 'store/rows-00000.bin');
    const seen = await forDamage(file, () => read(folder), {
      older: { file: join(folder, 'older/rows-00000.bin'), blocks: times(50, 1000) },
    });
    expect(seen.right).toBe(0);
    expect(seen.refused).toBeGreaterThan(1100);
    const sums = await forDamage(join(folder, 'store/checksums.bin'), () => read(folder), { swaps: 0 });
    expect(sums.right).toBe(0);
    const cut = await forDamage(file, () => read(folder, { verifies: false }), { bits: 0, swaps: 0 });
    expect(cut.right).toBe(0);
  }));

test('a store that is replaced, cut short or taken away while open gives its old rows or a typed error', async () => {
  for (let round = 0; round < times(50, 1000); round += 1) {
    const random = randomFrom(runSeed + round);
    await inFolder(async (folder) => {
      await fill(folder, 2);
      await using store = await openStore(urlIn(folder));
      const right = await rowsOf(store);
      for (let step = 0; step < 3; step += 1) {
        const kind = random.below(5);
        const published = join(folder, 'store');
        try {
          if (kind === 0) await fill(folder, 3);
          else if (kind === 1) truncateSync(join(published, 'rows-00000.bin'), random.below(rows * width * 4));
          else if (kind === 2) rmSync(published, { recursive: true, force: true });
          else if (kind === 3) renameSync(published, join(folder, `moved ${step}`));
          else {
            writeFileSync(join(folder, 'other'), 'other');
            renameSync(join(folder, 'other'), join(published, 'rows-00000.bin'));
          }
        } catch (error) {
          if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error; // an earlier step took it away
        }
        const outcome = await rowsOf(store).catch((error: unknown) => ({ error }));
        if ('error' in outcome) expect(flawOf(outcome.error), `seed ${runSeed + round}`).toBeUndefined();
        else expect(outcome, `seed ${runSeed + round}`).toEqual(right);
      }
    });
  }
});

test('hostile manifests are refused or understood, whatever their checksum says', () =>
  inFolder(async (folder) => {
    await fill(folder, 2);
    const path = join(folder, 'store/manifest.json');
    const { kind, version, checksum: _, ...body } = JSON.parse(readFileSync(path, 'utf8'));
    const use = async (text: string) => {
      const fields = objectIn(text);
      if (fields === undefined) writeFileSync(path, text);
      else await writeManifest(path, { ...fields, kind, version });
      await using store = await openStore(urlIn(folder));
      const into = await rowsOf(store);
      await store.verify();
      expect(sha256(new Uint8Array(into.buffer))).toHaveLength(64);
    };
    const seen = await forHostileJson(body, use);
    expect(seen.refused).toBeGreaterThan(500);
    expect(seen.refused).toBeLessThan(seen.tried); // another binding is a good one
  }));

test('hostile locations are stores that do not exist', () =>
  inFolder(async (folder) => {
    const before = treeOf(folder);
    for (const path of hostilePaths) {
      for (const url of [`file:${folder}/${path}`, `file:///${folder}/${path}`, `${path}:x`, path]) {
        const failure = await openStore(url).then(
          (store) => store.close().then(() => new Error('it is opened')),
          (error: unknown) => error,
        );
        expect(flawOf(failure), url).toBeUndefined();
      }
    }
    expect(treeOf(folder)).toEqual(before);
  }));

/** What these two need of the system: mkfifo, /dev, /proc, ulimit. */
const onLinux = test.skipIf(process.platform !== 'linux');

onLinux('files of a store that are folders, pipes or devices are refused; links to files are read, and never written through', () =>
  inFolder(async (folder) => {
    await fill(folder, 2);
    const names = ['manifest.json', 'checksums.bin', 'rows-00000.bin'];
    for (const name of names) {
      const file = join(folder, 'store', name);
      const kept = join(folder, 'kept');
      renameSync(file, kept);
      const others = {
        folder: () => mkdirSync(file),
        pipe: () => spawnSync('mkfifo', [file]),
        device: () => symlinkSync('/dev/zero', file),
      };
      for (const [what, make] of Object.entries(others)) {
        make();
        expect(existsSync(file), what).toBe(true);
        await expect(openStore(urlIn(folder)), `${name} as a ${what}`).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
        rmSync(file, { recursive: true });
      }
      symlinkSync(kept, file);
      const before = readFileSync(kept);
      expect(await read(folder)).toHaveLength(rows * width);
      await fill(folder, 3); // published in the place of the folder with the link
      expect(readFileSync(kept).equals(before)).toBe(true);
      await deleteStore(urlIn(folder));
      expect(readFileSync(kept).equals(before)).toBe(true);
      await fill(folder, 2);
    }
  }),
);

onLinux(
  'stores that are opened and closed, and openings that fail, leave no file open; too many data files are an error that says so',
  () =>
    inFolder(async (folder) => {
      await fill(folder, 2);
      await fill(folder, 2, 'cut');
      truncateSync(join(folder, 'cut/rows-00000.bin'), 100);
      const openFiles = () => readdirSync('/proc/self/fd').length;
      const before = openFiles();
      for (let round = 0; round < times(200, 5000); round += 1) {
        await (await openStore(urlIn(folder))).close();
        for (const url of [urlIn(folder, 'cut'), urlIn(folder, 'none')])
          expect(await openStore(url).catch(() => 'refused')).toBe('refused');
        await expect(openStore(urlIn(folder), { expect: { model: 'another' } })).rejects.toMatchObject({ code: 'STORE_MISMATCH' });
      }
      expect(openFiles()).toBeLessThanOrEqual(before);

      const many = { rows: 400, width: 1, dtype: 'f32' as const, binding: { fgrams: 'set', model: 'model' } };
      const write = async (name: string, shardRows: number) => {
        await using writer = await createStore(urlIn(folder, name), { ...many, shardRows });
        await writer.write(
          Uint32Array.from({ length: 400 }, (_, id) => id),
          new Float32Array(400),
        );
        await writer.publish();
      };
      await write('many', 1);
      await write('few', 100);
      const code = `
      import { openStore } from ${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)};
      for (const name of ['many', 'few', 'many', 'few']) {
        const url = ${JSON.stringify(`file:${folder}/`)} + name;
        await openStore(url).then((store) => store.close(), (error) => console.log(error.code, error.remedy));
      }`;
      const limited = spawnSync('sh', ['-c', 'ulimit -n 256; exec "$0" --input-type=module --eval "$1"', process.execPath, code]);
      expect(`${limited.stderr}`).toBe('');
      expect(`${limited.stdout}`).toMatch(/^(STORE_IO .*fewer data files.*\n){2}$/);
    }),
);

test('a block that is too large to be checked is refused where the store is made', async () => {
  const description = { rows: 2 ** 31, width: 64, dtype: 'f32' as const, binding: { fgrams: 'set', model: 'model' } };
  await expect(createStore('memory:large block', { ...description, blockRows: 2 ** 19 })).rejects.toThrow(/blockRows is too large/);
});
