import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { backendCases } from './conformance/index.js';
import { createStore, openStore } from './index.js';

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

  for (const { name, run } of backendCases({ freshUrl: urls[scheme] })) it(name, run);

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
    const rows = join(url.slice('file:'.length), 'rows.bin');
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
    await expect(openStore(url)).rejects.toThrow(/161 bytes, expected 10 rows/);
  });
});
