import { createModel } from '@sconelm/fgram-model';
import { createStore, openStore } from '@sconelm/offload-store';
import { openDevice } from '@sconelm/tensor-webgpu';
import { expect, it } from 'vitest';
import { batchDecoder, type SequenceFgrams } from './batch-decoder.js';
import { Engine } from './engine.js';
import { LookUpCounts } from './look-up-counts.js';
import type { GenerationEvent } from './request.js';

const decoder = { vocabSize: 32, contextLength: 32, layers: 1, width: 16, heads: 2 };

/** Every token but 0 is an f-gram of its own id; what becomes of each row is asked. */
function fgramsWith(fate: (id: number) => 'row' | 'lost' | 'error', code = 'STORE_CORRUPT', onRead = () => {}): () => SequenceFgrams {
  return () => ({
    matcher: { length: 1, push: (token) => (token === 0 ? -1 : token), idOfLength: () => -1, reset() {} },
    rows: {
      tierOf: () => 'store',
      read(ids, into, { lost }) {
        onRead();
        ids.forEach((id, i) => {
          if (fate(id) === 'error') throw Object.assign(new Error('no such row'), { code, remedy: 'Wait.' });
          lost[i] = fate(id) === 'lost' ? 1 : 0;
          into.fill(Math.sin(id), i * decoder.width, (i + 1) * decoder.width);
        });
      },
    },
  });
}

it('damaged rows fail their own sequence, and it goes on when they are back', async () => {
  using device = await openDevice();
  using model = createModel(device, { decoder }, { seed: 1 });
  let isAway = true;
  using shared = batchDecoder(device, model, { slots: 2, fgramsOf: fgramsWith((id) => (id === 5 && isAway ? 'error' : 'row')) });
  const work = (slot: number, ...tokens: number[]) => ({ slot, blocks: [slot], start: 0, tokens, wanted: 'last' as const });
  const [failed, fine] = await shared.step([work(0, 1, 5), work(1, 1, 2)]);
  expect(failed).toMatchObject({ code: 'STORE_CORRUPT' });
  using alone = batchDecoder(device, model, { slots: 1, fgramsOf: fgramsWith(() => 'row') });
  expect(fine).toEqual((await alone.step([work(0, 1, 2)]))[0]);
  isAway = false;
  shared.begin(0, []);
  alone.begin(0, []);
  expect(await shared.step([work(0, 1, 5)])).toEqual(await alone.step([work(0, 1, 5)]));
});

it('a store that is away is asked once a step, fails those who wanted rows, and nobody else', async () => {
  using device = await openDevice();
  using model = createModel(device, { decoder }, { seed: 1 });
  let reads = 0;
  const fgramsOf = fgramsWith(
    () => 'error',
    'STORE_IO',
    () => {
      reads += 1;
    },
  );
  using shared = batchDecoder(device, model, { slots: 3, fgramsOf });
  const work = (slot: number, ...tokens: number[]) => ({ slot, blocks: [slot], start: 0, tokens, wanted: 'last' as const });
  const [one, other, plain] = await shared.step([work(0, 1, 5), work(1, 0, 2), work(2, 0, 0)]);
  expect([one, other]).toMatchObject([{ code: 'STORE_IO' }, { code: 'STORE_IO' }]);
  expect(plain).toMatchObject({ isMakeshift: false });
  expect(reads).toBe(1);
});

it('what is read again is not counted as looked up again', async () => {
  using device = await openDevice();
  using model = createModel(device, { decoder }, { seed: 1 });
  const lookUps = new LookUpCounts();
  using shared = batchDecoder(device, model, { slots: 1, fgramsOf: fgramsWith(() => 'row'), lookUps });
  const work = { slot: 0, blocks: [0], start: 0, tokens: [0, 1, 2], wanted: 'last' as const };
  for (const isRepeat of [false, true]) {
    shared.begin(0, []);
    await shared.step([{ ...work, isRepeat }]);
  }
  expect([...lookUps]).toEqual([
    { tier: 'none', length: 1, count: 1 },
    { tier: 'store', length: 1, count: 2 },
  ]);
});

it('a sequence in which rows were lost is no prefix for another', async () => {
  using device = await openDevice();
  using model = createModel(device, { decoder }, { seed: 1 });
  using lossy = batchDecoder(device, model, { slots: 2, fgramsOf: fgramsWith((id) => (id === 5 ? 'lost' : 'row')) });
  const engine = new Engine(lossy);
  const read = async (prompt: readonly number[]) => {
    const events = engine.generate({ prompt, maxTokens: 1, sampling: { temperature: 0 }, stopTokens: new Set<number>() });
    for await (const _ of events);
    return engine.status.prefixHits;
  };
  const text = Array.from({ length: 17 }, (_, i) => (i === 0 ? 1 : 6 + i));
  expect(await read([...text.slice(0, 4), 5, ...text.slice(5)])).toBe(0);
  expect(await read([...text.slice(0, 4), 5, ...text.slice(5)])).toBe(0);
  expect(await read(text)).toBe(0);
  expect(await read(text)).toBe(16);
});

it('a device that is lost under load fails every request cleanly, and is told', async () => {
  const device = await openDevice();
  const model = createModel(device, { decoder }, { seed: 1 });
  const failures: unknown[] = [];
  const engine = new Engine(batchDecoder(device, model, { slots: 2 }), { onFailure: (error) => failures.push(error) });
  const request = { prompt: [1, 2, 3], maxTokens: 25, sampling: { temperature: 0 }, stopTokens: new Set<number>() };
  const drained = async (events: AsyncIterable<GenerationEvent>) => {
    for await (const _ of events);
  };
  const all = Promise.allSettled([1, 2, 3, 4].map(() => drained(engine.generate(request))));
  while (engine.status.steps < 5) await new Promise((resolve) => setImmediate(resolve));
  device.gpu.destroy();
  for (const result of await all) expect(result).toMatchObject({ status: 'rejected', reason: { code: expect.stringMatching(/^DEVICE_/) } });
  expect(failures.length).toBe(4);
  await engine.drain();
  expect(engine.status).toMatchObject({ running: 0, waiting: 0 });
});

it.each(['f32', 'f16', 'bf16', 'int8', 'int4'] as const)('rows of %s give the same bits decoded on the device and here', async (dtype) => {
  using device = await openDevice();
  using model = createModel(device, { decoder }, { seed: 1 });
  const binding = { fgrams: 'f', model: 'm' };
  await using writer = await createStore(`memory:packed-${dtype}`, { rows: decoder.vocabSize, width: decoder.width, dtype, binding });
  const ids = Uint32Array.from({ length: decoder.vocabSize }, (_, id) => id);
  await writer.write(
    ids,
    Float32Array.from({ length: ids.length * decoder.width }, (_, i) => Math.sin(i * i) * (1 + (i % 7))),
  );
  await writer.publish();
  await using store = await openStore(`memory:packed-${dtype}`);
  let encoded = 0;
  const rows = {
    dtype,
    tierOf: () => 'store',
    read: store.read.bind(store),
    readEncoded: (...args: Parameters<typeof store.readEncoded>) => {
      encoded += 1;
      return store.readEncoded(...args);
    },
  };
  const { readEncoded: _, ...decodedHere } = rows;
  const [{ matcher }] = [fgramsWith(() => 'row')()];
  const work = [{ slot: 0, blocks: [0], start: 0, tokens: [1, 0, 7, 31, 7], wanted: 'all' as const }];
  using packed = batchDecoder(device, model, { slots: 1, fgramsOf: () => ({ matcher, rows }) });
  using plain = batchDecoder(device, model, { slots: 1, fgramsOf: () => ({ matcher, rows: decodedHere }) });
  expect(await packed.step(work)).toEqual(await plain.step(work));
  expect(encoded).toBe(dtype === 'f32' ? 0 : 1);
});
