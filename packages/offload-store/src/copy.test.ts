import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, it } from 'vitest';
import { copyStore, createStore, openStore, rowDtypes } from './index.js';

const folder = mkdtempSync(join(tmpdir(), 'sconelm-copy-'));
afterAll(() => rmSync(folder, { recursive: true }));
let next = 0;
const freshUrl = () => (next++ % 2 === 0 ? `file:${join(folder, `copy ${next}`)}` : `memory:copy ${next}`);
const binding = { fgrams: 'set', model: 'model' };
const [rows, width] = [50, 9];
const value = (id: number, column: number) => Math.sin(id * 7 + column) * (1 + (id % 5));
const all = Uint32Array.from({ length: rows }, (_, id) => id);

async function fill(url: string, dtype: (typeof rowDtypes)[number]): Promise<string> {
  await using writer = await createStore(url, { rows, width, dtype, binding, licence: 'CC0-1.0', blockRows: 7, shardRows: 20 });
  await writer.write(
    all,
    Float32Array.from({ length: rows * width }, (_, i) => value(Math.floor(i / width), i % width)),
  );
  await writer.publish();
  return url;
}

it('a copy of the same form is the same store: equal fingerprint, equal bytes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...rowDtypes), async (dtype) => {
      const [from, to] = [await fill(freshUrl(), dtype), freshUrl()];
      await copyStore(from, to);
      await using original = await openStore(from);
      await using copy = await openStore(to, { expect: binding });
      expect(copy.manifest).toEqual(original.manifest);
      const [a, b] = [original, copy].map(() => new Uint8Array(rows * original.rowBytes));
      await original.readEncoded(all, a);
      await copy.readEncoded(all, b);
      expect(b).toEqual(a);
      await copy.verify();
    }),
    { numRuns: 20 },
  );
});

it('a copy may have fewer rows and another form', async () => {
  const [from, to] = [await fill(freshUrl(), 'f32'), freshUrl()];
  await copyStore(from, to, { rows: 12, dtype: 'f16', blockRows: 5 });
  await using copy = await openStore(to, { expect: binding });
  expect(copy.manifest).toMatchObject({ rows: 12, dtype: 'f16', blockRows: 5, licence: 'CC0-1.0' });
  const into = new Float32Array(width);
  await copy.read(Uint32Array.of(11), into);
  for (let column = 0; column < width; column++) expect(into[column]).toBeCloseTo(value(11, column), 2);
});

it('an interrupted copy goes on from the rows that are there', async () => {
  const [from, to] = [await fill(freshUrl(), 'f32'), `file:${join(folder, 'interrupted')}`];
  {
    await using source = await openStore(from);
    await using writer = await createStore(to, { rows, width, dtype: 'f32', binding, licence: 'CC0-1.0', blockRows: 7, shardRows: 20 });
    const bytes = new Uint8Array(20 * source.rowBytes);
    await source.readEncoded(all.subarray(10, 30), bytes);
    await writer.writeEncoded(all.subarray(10, 30), bytes);
  }
  const seen: number[] = [];
  await copyStore(from, to, { onProgress: (done) => seen.push(done) });
  expect(seen).toEqual([20, 30, 50]);
  await using copy = await openStore(to);
  await copy.verify();
  await expect(copyStore(from, to, { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
});
