/** The cases of the conformance kit; each uses stores of its own and throws where the backend fails it. */
import assert from 'node:assert/strict';
import { createStore, openStore, type RowDtype } from '../index.js';

export interface BackendUnderTest {
  /** A URL of the backend where there is no store yet; another one at each call. */
  freshUrl(): string;
}

export interface ConformanceCase {
  readonly name: string;
  run(): Promise<void>;
}

const binding = { fgrams: 'set', model: 'model' };

/** A value that f16 holds exactly. */
const valueAt = (row: number, column: number) => ((row * 31 + column * 7) % 2048) / 16 - 64;
const rowsOf = (ids: ArrayLike<number>, width: number) =>
  Float32Array.from(Array.from(ids).flatMap((id) => Array.from({ length: width }, (_, column) => valueAt(id, column))));

/** Fills a store with five rows a call, last ids first. */
async function fill(url: string, rows: number, width: number, dtype: RowDtype): Promise<void> {
  await using writer = await createStore(url, { rows, width, dtype, binding });
  const ids = Uint32Array.from({ length: rows }, (_, i) => rows - 1 - i);
  for (let start = 0; start < rows; start += 5) {
    const part = ids.slice(start, start + 5);
    await writer.write(part, rowsOf(part, width));
  }
  await writer.publish();
}

async function expectRead(url: string, ids: readonly number[], width: number): Promise<void> {
  await using store = await openStore(url, { expect: binding });
  const into = new Float32Array(ids.length * width);
  await store.read(Uint32Array.from(ids), into);
  assert.deepEqual(into, rowsOf(ids, width));
  await store.verify();
}

export function backendCases({ freshUrl }: BackendUnderTest): ConformanceCase[] {
  const rows = 23;
  const picks = [
    [],
    [0],
    [22, 0, 22, 7, 7, 8, 9],
    Array.from({ length: rows }, (_, i) => i),
    Array.from({ length: 500 }, (_, i) => (i * i) % rows),
  ];
  const reads = (['f32', 'f16'] as const).flatMap((dtype) =>
    [1, 3, 64].map((width) => ({
      name: `reads rows of ${width} ${dtype}: none, one, neighbours, all, repeated, in any order`,
      run: async () => {
        const url = freshUrl();
        await fill(url, rows, width, dtype);
        for (const ids of picks) await expectRead(url, ids, width);
      },
    })),
  );
  return [
    ...reads,
    {
      name: 'refuses a store that is missing or of another model',
      run: async () => {
        const url = freshUrl();
        await assert.rejects(openStore(url), { code: 'STORE_MISSING' });
        await fill(url, 3, 2, 'f32');
        await assert.rejects(openStore(url, { expect: { model: 'other' } }), { code: 'STORE_MISMATCH' });
      },
    },
    {
      name: 'shows nothing before it is published, and goes on where a writer ended',
      run: async () => {
        const url = freshUrl();
        const description = { rows: 4, width: 2, dtype: 'f32' as const, binding };
        const first = await createStore(url, description);
        await first.write(new Uint32Array([3, 0]), rowsOf([3, 0], 2));
        await assert.rejects(openStore(url), { code: 'STORE_MISSING' });
        await assert.rejects(first.publish(), { code: 'STORE_INCOMPLETE' });
        await assert.rejects(createStore(url, description), { code: 'STORE_LOCKED' });
        await first.close();
        await assert.rejects(createStore(url, { ...description, width: 3 }), { code: 'STORE_MISMATCH' });
        await using second = await createStore(url, description);
        assert.deepEqual(
          [0, 1, 2, 3].map((id) => second.has(id)),
          [true, false, false, true],
        );
        await second.write(new Uint32Array([1, 2]), rowsOf([1, 2], 2));
        await second.publish();
        await expectRead(url, [0, 1, 2, 3], 2);
      },
    },
    {
      name: 'replaces a published store at once, with readers of the old one undisturbed',
      run: async () => {
        const url = freshUrl();
        await fill(url, 5, 2, 'f32');
        await using old = await openStore(url);
        await fill(url, 9, 2, 'f32');
        await expectRead(url, [8, 4], 2);
        const into = new Float32Array(2);
        await old.read(new Uint32Array([4]), into);
        assert.deepEqual(into, rowsOf([4], 2));
        assert.equal(old.rows, 5);
      },
    },
  ];
}
