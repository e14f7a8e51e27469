/** Readers of file stores: damaged, hostile and replaced files give the right rows or a typed error. */
import { readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
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
import { createStore, openStore, type RowStore } from './index.js';

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
