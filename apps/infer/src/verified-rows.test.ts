import { createStore, openStore, type RowStore } from '@sconelm/offload-store';
import { expect, it } from 'vitest';
import { VerifiedRows } from './verified-rows.js';

const WIDTH = 8;
const rowOf = (id: number) => Float32Array.from({ length: WIDTH }, (_, i) => Math.sin(id * 7 + i));

/** Rows of which some were written for others. */
async function storeOf(name: string, wrong: (id: number) => boolean, dtype: RowStore['dtype']): Promise<RowStore> {
  const url = `memory:verified-${name}`;
  const writer = await createStore(url, { rows: 10, width: WIDTH, dtype, binding: { fgrams: 'a'.repeat(64), model: 'b'.repeat(64) } });
  for (let id = 0; id < 10; id++) await writer.write(Uint32Array.of(id), rowOf(wrong(id) ? id + 1 : id));
  await writer.publish();
  return openStore(url);
}

async function compute(ids: Uint32Array, into: Float32Array): Promise<void> {
  for (const [i, id] of ids.entries()) into.set(rowOf(id), i * WIDTH);
}

async function readAll({ rows, settled }: { rows: VerifiedRows['rows']; settled: () => Promise<void> }): Promise<void> {
  for (let id = 0; id < 10; id++) {
    await rows.read(Uint32Array.of(id), new Float32Array(WIDTH), { lost: new Uint8Array(1) });
    await settled();
  }
}

it('finds rows that are others than those computed, whatever their dtype, and says which', async () => {
  for (const dtype of ['f32', 'f16', 'bf16', 'int8', 'int4'] as const) {
    await using store = await storeOf(`wrong-${dtype}`, (id) => id === 3 || id === 8, dtype);
    const told: string[] = [];
    const verified = new VerifiedRows(store, { share: 1, compute, onMismatch: (message) => told.push(message) });
    await readAll({ rows: verified.rows, settled: () => verified.settled() });
    expect(verified).toMatchObject({ checked: 10, mismatches: 2 });
    expect(told.map((message) => /^row (\d+) of memory:/.exec(message)?.[1])).toEqual(['3', '8']);
  }
});

it('compares the share that was asked for, and gives out rows without waiting for it', async () => {
  await using store = await storeOf('share', () => false, 'f32');
  let finish = () => {};
  const verified = new VerifiedRows(store, {
    share: 0.25,
    compute: async (ids, into) => {
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      await compute(ids, into);
    },
    onMismatch: (message) => expect.fail(message),
  });
  const { rows } = verified;
  const into = new Float32Array(2 * WIDTH);
  for (let i = 0; i < 8; i++) await rows.read(Uint32Array.of(1, 2), into, { lost: new Uint8Array(2) });
  expect(into).toEqual(Float32Array.of(...rowOf(1), ...rowOf(2)));
  expect(verified.checked).toBe(0);
  finish();
  await verified.settled();
  // Sixteen rows were read while the first of the sample was compared: one is owed, not three.
  expect(verified).toMatchObject({ checked: 1, mismatches: 0 });
});
