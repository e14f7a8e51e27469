import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from '@sconelm/artifact';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { backendCases } from './conformance/index.js';
import { createStore, formatStoreManifest, openStore } from './index.js';

const folder = mkdtempSync(join(tmpdir(), 'sconelm-store-'));
afterAll(() => rmSync(folder, { recursive: true }));
const binding = { fgrams: 'set', model: 'model' };
let next = 0;

const urls = { file: () => `file:${join(folder, `store ${next++}`)}`, memory: () => `memory:store ${next++}` };

/** Values that f16 holds exactly. */
const value = (row: number, column: number) => ((row * 31 + column * 7) % 2048) / 16 - 64;
const rowOf = (row: number, width: number) => Float32Array.from({ length: width }, (_, column) => value(row, column));

async function fill(url: string, rows: number, width: number, dtype: 'f32' | 'f16'): Promise<void> {
  await using writer = await createStore(url, { rows, width, dtype, binding });
  const ids = Uint32Array.from({ length: rows }, (_, i) => (i * 7919) % rows);
  const distinct = new Set(ids).size === rows ? ids : Uint32Array.from({ length: rows }, (_, i) => rows - 1 - i);
  for (let start = 0; start < rows; start += 5) {
    const part = distinct.slice(start, start + 5);
    await writer.write(part, Float32Array.from([...part].flatMap((id) => [...rowOf(id, width)])));
  }
  await writer.publish();
}

describe.each(['file', 'memory'] as const)('%s:', (scheme) => {
  it('gives back what was written, for any ids in any order, in f32 and f16', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 9 }),
        fc.constantFrom('f32' as const, 'f16' as const),
        fc.array(fc.nat(1000), { maxLength: 30 }),
        async (rows, width, dtype, picks) => {
          const url = urls[scheme]();
          await fill(url, rows, width, dtype);
          await using store = await openStore(url, { expect: binding });
          const ids = Uint32Array.from(picks, (pick) => pick % rows);
          const into = new Float32Array(ids.length * width);
          await store.read(ids, into);
          expect([...into]).toEqual([...ids].flatMap((id) => [...rowOf(id, width)]));
          await store.verify();
        },
      ),
      { numRuns: 25 },
    );
  });

  const damageRow = (url: string, id: number) => {
    const path = join(url.slice('file:'.length), 'rows-00000.bin');
    const bytes = readFileSync(path);
    bytes[id * 24 + 5] ^= 16;
    writeFileSync(path, bytes);
  };
  const outlives = scheme === 'file' ? { damageRow, module: new URL('../dist/index.js', import.meta.url) } : {};
  for (const { name, run } of backendCases({ freshUrl: urls[scheme], seed: Number(process.env.SCONE_SEED ?? 1), ...outlives }))
    it(name, run);

  it('refuses an id out of range', async () => {
    const url = urls[scheme]();
    await fill(url, 3, 2, 'f32');
    await using store = await openStore(url);
    expect(() => store.read(new Uint32Array([3]), new Float32Array(2))).toThrow(/rows 0 to 2/);
  });
});

describe('a damaged file store', () => {
  it('is found out: truncated at opening, a changed byte by verify', async () => {
    const url = urls.file();
    const rows = join(url.slice('file:'.length), 'rows-00000.bin');
    await fill(url, 10, 4, 'f32');
    const whole = readFileSync(rows);
    const damaged = Uint8Array.from(whole);
    damaged[37] ^= 1;
    writeFileSync(rows, damaged);
    await using store = await openStore(url);
    await expect(store.verify()).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
    truncateSync(rows, whole.length - 1);
    await expect(openStore(url)).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
    appendFileSync(rows, 'xx');
    await expect(openStore(url)).rejects.toThrow(/161 bytes, expected 160/);
  });
});

describe.each(['file', 'memory'] as const)('%s: several writers', (scheme) => {
  const description = { rows: 10, width: 2, dtype: 'f32' as const, binding };
  const write = async (url: string, from: number, to: number) => {
    await using writer = await createStore(url, description, { range: { from, to } });
    for (let id = writer.nextMissing(from); id >= 0 && id < to; id = writer.nextMissing(id)) {
      await writer.write(Uint32Array.of(id), rowOf(id, 2));
    }
  };

  it('fill disjoint ranges at once; a writer of all rows publishes', async () => {
    const url = urls[scheme]();
    await Promise.all([write(url, 6, 10), write(url, 0, 3), write(url, 3, 6)]);
    await using writer = await createStore(url, description);
    expect(writer.written).toBe(10);
    await writer.publish();
    await using store = await openStore(url);
    const into = new Float32Array(20);
    await store.read(
      Uint32Array.from({ length: 10 }, (_, i) => i),
      into,
    );
    expect([...into]).toEqual(Array.from({ length: 10 }, (_, id) => [...rowOf(id, 2)]).flat());
  });

  it('are refused ranges that overlap, rows outside their range, and publishing', async () => {
    const url = urls[scheme]();
    await using writer = await createStore(url, description, { range: { from: 2, to: 5 } });
    await expect(createStore(url, description, { range: { from: 4, to: 6 } })).rejects.toMatchObject({ code: 'STORE_LOCKED' });
    await expect(createStore(url, description)).rejects.toMatchObject({ code: 'STORE_LOCKED' });
    await expect(writer.write(Uint32Array.of(5), rowOf(5, 2))).rejects.toThrow(/takes rows 2 to 4/);
    await expect(writer.publish()).rejects.toThrow(/only rows 2 to 4/);
    await expect(createStore(url, description, { range: { from: 5, to: 11 } })).rejects.toMatchObject({ code: 'STORE_ARGUMENT' });
  });

  it('replace a row that another wrote before them', async () => {
    const url = urls[scheme]();
    await write(url, 0, 10);
    await using writer = await createStore(url, description, { range: { from: 3, to: 4 } });
    await writer.write(Uint32Array.of(3), rowOf(7, 2));
    await writer.close();
    await using all = await createStore(url, description);
    await all.publish();
    await using store = await openStore(url);
    const into = new Float32Array(2);
    await store.read(Uint32Array.of(3), into);
    expect(into).toEqual(rowOf(7, 2));
  });
});

it('a file store may be cut into many data files, and rows are read across their ends', async () => {
  const url = urls.file();
  {
    await using writer = await createStore(url, { rows: 23, width: 4, dtype: 'f32', binding, shardRows: 5, blockRows: 3 });
    await writer.write(
      Uint32Array.from({ length: 23 }, (_, i) => i),
      Float32Array.from(Array.from({ length: 23 }, (_, i) => [...rowOf(i, 4)]).flat()),
    );
    await writer.publish();
  }
  await using store = await openStore(url);
  const ids = Uint32Array.of(4, 5, 22, 0, 14, 15, 16);
  const into = new Float32Array(ids.length * 4);
  await store.read(ids, into);
  expect([...into]).toEqual([...ids].flatMap((id) => [...rowOf(id, 4)]));
  await store.verify();
});

it('hot rows give the same answers, and are counted', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(30), fc.array(fc.nat(23), { maxLength: 40 }), async (hotRows, picks) => {
      const url = urls.memory();
      await fill(url, 24, 3, 'f16');
      await using store = await openStore(url, { hotRows });
      await store.warmed;
      const into = new Float32Array(picks.length * 3);
      await store.read(Uint32Array.from(picks), into);
      expect([...into]).toEqual(picks.flatMap((id) => [...rowOf(id, 3)]));
      expect(store.metrics).toMatchObject({
        rows: picks.length,
        hotRows: Math.min(hotRows, 24),
        hotHits: picks.filter((id) => id < hotRows).length,
        distinctRows: new Set(picks.filter((id) => id >= hotRows)).size,
      });
    }),
    { numRuns: 50 },
  );
});

it('a block is checked when one of its rows is first read, and only then', async () => {
  const url = urls.file();
  {
    await using writer = await createStore(url, { rows: 20, width: 4, dtype: 'f32', binding, blockRows: 4 });
    await writer.write(
      Uint32Array.from({ length: 20 }, (_, i) => i),
      Float32Array.from(Array.from({ length: 20 }, (_, i) => [...rowOf(i, 4)]).flat()),
    );
    await writer.publish();
  }
  const rows = join(url.slice('file:'.length), 'rows-00000.bin');
  const damaged = readFileSync(rows);
  damaged[9 * 16 + 3] ^= 4; // row 9, block 2
  writeFileSync(rows, damaged);
  await using store = await openStore(url, { check: 'first-touch' });
  const into = new Float32Array(8);
  await store.read(Uint32Array.of(19, 7), into);
  expect([...into]).toEqual([...rowOf(19, 4), ...rowOf(7, 4)]);
  await expect(store.read(Uint32Array.of(8), into)).rejects.toThrow(/block 2 \(rows 8 to 11\)/);
  await store.read(Uint32Array.of(6), into);
  expect([...into.subarray(0, 4)]).toEqual([...rowOf(6, 4)]);
});

it.skipIf(process.platform !== 'linux')(
  'opening reads the same at any size: a thousand rows, or a billion of 1 KiB (Linux: it asks /proc)',
  async () => {
    /** A store of zeros, of which the file system keeps nothing. */
    const make = (rows: number) => {
      const url = urls.file();
      const directory = url.slice('file:'.length);
      const form = { rows, width: 256, dtype: 'f32' as const, blockRows: 1024, shardRows: 2 ** 24, binding };
      const blocks = Math.ceil(rows / form.blockRows);
      const pages = Array.from({ length: Math.ceil(blocks / 2 ** 14) }, (_, page) =>
        crc32(new Uint8Array(4 * Math.min(2 ** 14, blocks - page * 2 ** 14))),
      );
      mkdirSync(directory);
      const manifest = { ...form, rowBytes: 1024, checksums: pages, fingerprint: '' };
      writeFileSync(join(directory, 'manifest.json'), formatStoreManifest(url, manifest));
      const sparse = (name: string, bytes: number) => {
        writeFileSync(join(directory, name), '');
        truncateSync(join(directory, name), bytes);
      };
      sparse('checksums.bin', blocks * 4);
      for (let first = 0; first < rows; first += form.shardRows)
        sparse(`rows-${String(first / form.shardRows).padStart(5, '0')}.bin`, Math.min(form.shardRows, rows - first) * 1024);
      return url;
    };
    const bytesRead = () => Number(/^rchar: (\d+)/.exec(readFileSync('/proc/self/io', 'utf8'))?.[1]);
    for (const rows of [1000, 2 ** 30]) {
      const url = make(rows);
      const before = bytesRead();
      await using store = await openStore(url, { expect: binding });
      expect(bytesRead() - before).toBeLessThan(2 ** 20 / 10);
      const into = new Float32Array(256).fill(7);
      await store.read(Uint32Array.of(rows - 1), into);
      expect(into).toEqual(new Float32Array(256));
    }
  },
);
