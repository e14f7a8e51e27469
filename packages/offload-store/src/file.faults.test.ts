/** File stores under faults: a writer with every call failing in turn and with the power failing; damaged and replaced files under readers. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { forEveryCall, forPowerCuts, times } from '../../../tools/faults/index.mjs';
import { copyStore, createStore, deleteStore, openStore } from './index.js';

const [rows, width] = [24, 64]; // 6 KiB, 12 sectors
const urlIn = (folder: string) => `file:${join(folder, 'store')}`;
const descriptionOf = (generation: number) => ({
  rows,
  width,
  dtype: 'f32' as const,
  binding: { fgrams: 'set', model: `model ${generation}` },
});
const rowOf = (id: number, generation: number) => Float32Array.from({ length: width }, (_, column) => id * 1000 + column + generation / 2);

/** Goes on with what is there, eight rows a call, last rows first, or with all rows, and publishes. */
async function fill(folder: string, generation: number, { replaces = false, publishes = true } = {}): Promise<void> {
  await using writer = await createStore(urlIn(folder), descriptionOf(generation));
  for (let first = rows - 8; first >= 0; first -= 8) {
    const ids = Uint32Array.from({ length: 8 }, (_, i) => first + ((i * 3) % 8));
    if (!replaces && ids.every((id) => writer.has(id))) continue;
    await writer.write(ids, Float32Array.from([...ids].flatMap((id) => [...rowOf(id, publishes ? generation : 0)])));
  }
  if (publishes) await writer.publish();
}

async function read(folder: string): Promise<unknown> {
  let store: Awaited<ReturnType<typeof openStore>>;
  try {
    store = await openStore(urlIn(folder));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'STORE_MISSING') return 'absent';
    throw error;
  }
  try {
    const into = new Float32Array(rows * width);
    await store.read(
      Uint32Array.from({ length: rows }, (_, id) => id),
      into,
    );
    await store.verify();
    return { model: store.manifest.binding.model, rows: into };
  } finally {
    await store.close();
  }
}

const writers = {
  'a new store': { read, write: (folder: string) => fill(folder, 1) },
  'a store in the place of an older one': {
    setUp: (folder: string) => fill(folder, 1),
    read,
    write: (folder: string) => fill(folder, 2),
  },
  'rows of an unfinished store replaced': {
    setUp: (folder: string) => fill(folder, 1, { publishes: false }),
    read,
    write: (folder: string) => fill(folder, 1, { replaces: true }),
  },
  'a store filled by writers of two ranges': {
    step: times(3, 1),
    read,
    write: async (folder: string) => {
      const written = async (from: number, to: number) => {
        await using writer = await createStore(urlIn(folder), descriptionOf(1), { range: { from, to } });
        for (let id = writer.nextMissing(from); id >= 0 && id < to; id = writer.nextMissing(id)) {
          const ids = Uint32Array.from({ length: to - id }, (_, i) => id + i);
          await writer.write(ids, Float32Array.from([...ids].flatMap((row) => [...rowOf(row, 1)])));
        }
      };
      await written(0, 12);
      await written(12, rows);
      await fill(folder, 1);
    },
  },
  'a copy': {
    step: times(3, 1),
    setUp: async (folder: string) => {
      await using writer = await createStore(`file:${join(folder, 'original')}`, descriptionOf(1));
      for (let id = 0; id < rows; id += 1) await writer.write(Uint32Array.of(id), rowOf(id, 1));
      await writer.publish();
    },
    read,
    write: (folder: string) => copyStore(`file:${join(folder, 'original')}`, urlIn(folder)),
  },
  'deleting a store': {
    setUp: (folder: string) => fill(folder, 1),
    read,
    write: (folder: string) => deleteStore(urlIn(folder)),
  },
};

describe.each(Object.entries(writers))('%s', (_name, writer) => {
  test('survives every call failing', async () => {
    const tried = await forEveryCall<unknown>(writer, { step: 'step' in writer ? writer.step : 1 });
    expect(tried.EIO).toBeGreaterThan(5);
  });
  test('survives power cuts', async () => {
    const seen = await forPowerCuts<unknown>(writer);
    expect(Math.min(seen.old, seen.new)).toBeGreaterThan(0);
  });
});
