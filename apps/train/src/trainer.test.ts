import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkpointFolder, createModel, listCheckpoints, type ModelConfig } from '@sconelm/fgram-model';
import type { TokenSource } from '@sconelm/ngram-miner';
import { type Device, openDevice, type Variable } from '@sconelm/tensor-webgpu';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { trainingSchema } from './run/training-config.js';
import { trainModel } from './trainer.js';
import { limitsOf } from './training/limits.js';
import { settleMicroBatch } from './training/micro-batch.js';
import { Optimizers } from './training/optimizers.js';
import { goOnAs } from './training/place.js';
import { TrainingStep } from './training/step.js';
import { Windows } from './windows.js';

const folder = mkdtempSync(join(tmpdir(), 'sconelm-train-'));
let device: Device;
beforeAll(async () => {
  device = await openDevice();
});
afterAll(() => {
  device[Symbol.dispose]();
  rmSync(folder, { recursive: true });
});

const decoder = { vocabSize: 64, contextLength: 16, layers: 1, width: 32, heads: 2 };
const config: ModelConfig = { decoder, fgram: { maxLength: 3, layers: 1, width: 32, heads: 2, unit: 0.03, finalNorm: false } };
const tokens = Int32Array.from({ length: 400 }, (_, i) => (i * i * 7 + i) % 61);
const sourceOf = (all: Int32Array): TokenSource => ({
  length: all.length,
  read: (from, into) => into.set(all.subarray(from, from + into.length)),
});
const source = sourceOf(tokens);
type Values = Awaited<ReturnType<Variable['read']>>;
let run = 0;

/** F-grams of one, two and three tokens, in turn. */
const inTurn = () => {
  let count = 0;
  return {
    get length() {
      return 1 + ((count - 1) % 3);
    },
    push: (token: number) => (count++ % 3 === 0 ? -1 : token),
    reset: () => {
      count = 0;
    },
  };
};

/** Every pair of tokens is an f-gram. */
const pairs = () => {
  let before = -1;
  return {
    length: 2,
    push: (token: number) => {
      const id = before < 0 ? -1 : before * 64 + token;
      before = token;
      return id;
    },
    reset: () => {
      before = -1;
    },
  };
};
const withRows: ModelConfig = { decoder, fgram: { ...config.fgram!, maxLength: 2, residualRows: 3000 } };

interface Given {
  readonly steps: number;
  readonly seed?: number;
  readonly stopAt?: number;
  readonly directory?: string;
  readonly model?: ModelConfig;
  readonly training?: z.input<typeof trainingSchema>;
  readonly on?: Device;
  readonly text?: TokenSource;
  /** Held-out losses, one after the other. */
  readonly heldout?: readonly number[];
}

async function train({ steps, seed = 1, stopAt = Infinity, directory = join(folder, `run ${run++}`), ...given }: Given) {
  const ofRun = given.model ?? config;
  const abort = new AbortController();
  const { on = device } = given;
  const model = createModel(on, ofRun, { seed, rows: given.training?.residualRows });
  const windows =
    ofRun === withRows
      ? new Windows(given.text ?? source, { T: 16, seed, fgramDropout: 0.3, matcher: pairs() })
      : new Windows(source, { T: 16, seed, matcher: inTurn() });
  const onProgress = ({ step }: { step: number }) => {
    if (step >= stopAt) abort.abort(new Error('stopped'));
  };
  const heldout = [...(given.heldout ?? [])];
  const result = await trainModel(on, model, windows, {
    training: trainingSchema.parse({ tokens: steps * 2 * 16, batch: 2, learningRate: 5e-3, seed, ...given.training }),
    directory,
    signal: abort.signal,
    onProgress,
    ...(given.heldout === undefined ? {} : { evaluate: async () => heldout.shift() ?? NaN }),
  }).catch((error: unknown) => {
    if (stopAt === Infinity) throw error;
    return undefined;
  });
  return { directory, result, parameters: await Promise.all(model.variables.map((variable) => variable.read())) };
}

/** To compare: arrays of a hundred thousand numbers are compared slowly. */
const bitsOf = (all: readonly Values[]) =>
  all.map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength).toString('base64'));

/** Of all values of all parameters. */
const mostDifference = (a: readonly Values[], b: readonly Values[]) =>
  Math.max(...a.map((values, i) => Array.from(values).reduce((most, value, j) => Math.max(most, Math.abs(value - b[i][j])), 0)));

describe('training', () => {
  it('gives the same bits twice with one seed, and other bits with another', async () => {
    const [a, b, c] = [await train({ steps: 30 }), await train({ steps: 30 }), await train({ steps: 30, seed: 2 })];
    expect(b.parameters).toEqual(a.parameters);
    expect(c.parameters).not.toEqual(a.parameters);
  });

  it.each<[string, Omit<Given, 'steps'>]>([
    ['of an f-gram model', {}],
    ['with residual rows and dropout of f-grams', { model: withRows }],
    ['with residual rows in host memory', { model: withRows, training: { residualRows: 'host' } }],
    ['with residual rows by micro-batches', { model: withRows, training: { microBatch: 1 } }],
    [
      'in mixed precision, by micro-batches, leaving spikes out',
      { training: { precision: 'mixed', microBatch: 1, onBadStep: 'skip', spike: 3 } },
    ],
    ['with a plateau, limited by FLOPs', { training: { tokens: undefined, flops: 1.5e8, schedule: 'wsd' } }],
  ])('%s, interrupted and resumed, equals a run that was not interrupted', async (_, given) => {
    const whole = await train({ steps: 40, ...given });
    const stopped = await train({ steps: 40, stopAt: 17, ...given });
    expect(stopped.result).toBeUndefined();
    const resumed = await train({ steps: 40, directory: stopped.directory, ...given });
    expect(bitsOf(resumed.parameters)).toEqual(bitsOf(whole.parameters));
    const curve = (result: typeof whole.result) => result?.metrics.map(({ seconds: _, ...rest }) => rest);
    expect(curve(resumed.result)).toEqual(curve(whole.result));
    expect(curve(resumed.result)?.length).toBeGreaterThan(2);
    expect(curve(resumed.result)?.at(-1)?.hitRate).toBeGreaterThan(0.3);
  });

  it('resumes with the kernels it was trained with, whatever has been measured since, and on another adapter only where that is allowed', async () => {
    const [whole, stopped] = [await train({ steps: 40 }), await train({ steps: 40, stopAt: 17 })];
    const { place } = JSON.parse(readFileSync(join(checkpointFolder(stopped.directory, 17), 'state.json'), 'utf8'));
    expect(place).toMatchObject({ adapter: device.info.description, tuning: 'on' });
    expect(Object.keys(place.forms).length).toBeGreaterThan(3);
    // Something else has been measured since.
    using other = await openDevice();
    for (const [key, form] of Object.entries<string>(place.forms))
      other.tuning.set(key, form === 'subgroup' ? 'subgroup-narrow' : 'subgroup');
    const resumed = await train({ steps: 40, directory: stopped.directory, on: other });
    expect(other.tuning.used).toEqual(expect.objectContaining(place.forms));
    expect(resumed.parameters).toEqual(whole.parameters);

    const elsewhere = { ...place, adapter: 'another one', tuning: 'off' } as const;
    const changes = [`adapter another one, not ${device.info.description}`, 'SCONE_TUNE off, not on'];
    expect(() => goOnAs(device, elsewhere, { allowChange: false })).toThrow(changes.join('; '));
    expect(goOnAs(device, elsewhere, { allowChange: true })).toEqual(changes);
  });

  it('resumes with the micro-batch that was settled when it began, whatever there is room for now', async () => {
    const given = { tokens: 20 * 8 * 16, batch: 8 };
    const auto = { ...given, microBatch: 'auto' } as const;
    using small = await openDevice();
    const training = trainingSchema.parse(given);
    using model = createModel(small, config, { seed: 1 });
    using optimizers = new Optimizers(small, model, training);
    using step = new TrainingStep(small, model, training, optimizers, { microBatch: 4 });
    const bytes = step.passBytes(new Windows(source, { T: 16, seed: 1, matcher: inTurn() }).batch(0, 8));
    Object.assign(small.info, { maxBufferBytes: 1.26 * bytes });
    const parts = await train({ steps: 20, training: { ...given, microBatch: 4 } });
    const stopped = await train({ steps: 20, stopAt: 7, training: auto, on: small });
    const { place } = JSON.parse(readFileSync(join(checkpointFolder(stopped.directory, 7), 'state.json'), 'utf8'));
    expect(place.microBatch).toBe(4);
    // This device has room for the whole batch.
    const resumed = await train({ steps: 20, directory: stopped.directory, training: auto });
    expect(resumed.parameters).toEqual(parts.parameters);
    expect(resumed.parameters).not.toEqual((await train({ steps: 20, training: auto })).parameters);
  });

  it('overfits one batch to a loss below 0.05', async () => {
    const model = createModel(device, config, { seed: 3 });
    const few = Int32Array.from({ length: 33 }, (_, i) => (i * i * 7 + i) % 61);
    const windows = new Windows(sourceOf(few), { T: 16, seed: 3, matcher: inTurn() });
    const { metrics } = await trainModel(device, model, windows, {
      training: trainingSchema.parse({ tokens: 300 * 2 * 16, batch: 2, learningRate: 1e-2 }),
      directory: join(folder, 'overfit'),
    });
    expect(metrics.at(-1)?.loss).toBeLessThan(0.05);
  });

  it.each([
    ['', config],
    [' with residual rows', withRows],
  ])('by micro-batches makes the steps of the whole batch%s', async (_, model) => {
    const [whole, parts] = [await train({ steps: 10, model }), await train({ steps: 10, model, training: { microBatch: 1 } })];
    expect(mostDifference(whole.parameters, parts.parameters)).toBeLessThan(2e-3);
    expect(parts.parameters).not.toEqual(whole.parameters);
    await expect(train({ steps: 1, training: { batch: 3, microBatch: 2 } })).rejects.toThrow(/no multiple of 2/);
  });

  it.each([{}, { microBatch: 1 }])('with residual rows in host memory makes the bits of rows on the device %o', async (more) => {
    // A batch touches up to 32 rows, and 128 have a place: rows leave the device, and come back.
    const text = sourceOf(Int32Array.from({ length: 400 }, (_, i) => (Math.imul(i, 2654435761) >>> 20) % 61));
    const [device_, host] = [
      await train({ steps: 60, text, model: withRows, training: more }),
      await train({ steps: 60, text, model: withRows, training: { ...more, residualRows: 'host' } }),
    ];
    const rows = host.parameters.at(-1)!;
    const changed = Array.from({ length: 3000 }, (_, id) => rows.subarray(id * 32, (id + 1) * 32)).filter((row) =>
      row.some((x) => x !== 0),
    );
    expect(changed.length).toBeGreaterThan(128);
    expect(bitsOf(host.parameters)).toEqual(bitsOf(device_.parameters));
    const files = [device_, host].map(({ directory }) => join(checkpointFolder(directory, 60), 'optimizer.safetensors'));
    expect(readFileSync(files[1]).equals(readFileSync(files[0]))).toBe(true);
  });

  it('computes blocks again in less memory: the same steps', async () => {
    const [kept, again] = [await train({ steps: 10 }), await train({ steps: 10, training: { recompute: true } })];
    expect(mostDifference(kept.parameters, again.parameters)).toBeLessThan(1e-4);
    const deep: ModelConfig = { decoder: { ...decoder, layers: 6 } };
    const batch = new Windows(source, { T: 16, seed: 1, matcher: inTurn() }).batch(0, 8);
    const [most, less] = [false, true].map((recompute) => {
      using model = createModel(device, deep, { seed: 1 });
      const training = trainingSchema.parse({ batch: 8, recompute });
      using optimizers = new Optimizers(device, model, training);
      using step = new TrainingStep(device, model, training, optimizers);
      expect(step.passBytes(batch)).toBe(step.report(batch).arenaBytes);
      return step.passBytes(batch);
    });
    expect(less).toBeLessThan(0.6 * most);
  });

  it('takes as many windows at a time as the adapter has room for', () => {
    using model = createModel(device, config, { seed: 1 });
    const batch = new Windows(source, { T: 16, seed: 1, matcher: inTurn() }).batch(0, 8);
    const training = trainingSchema.parse({ batch: 8, microBatch: 'auto' });
    using optimizers = new Optimizers(device, model, training);
    const settled = (bufferBytes: number) => settleMicroBatch(device, model, training, optimizers, batch, { bufferBytes });
    const bytesOf = (microBatch: number) => {
      using step = new TrainingStep(device, model, training, optimizers, { microBatch });
      return step.passBytes(batch);
    };
    expect([8, 4, 2, 1].map((windows) => settled(1.26 * bytesOf(windows)))).toEqual([8, 4, 2, 1]);
    expect(() => settled(1.2 * bytesOf(1))).toThrow(/one window takes/);
  });

  it('in mixed precision learns as in single precision', async () => {
    const [single, mixed] = [await train({ steps: 60 }), await train({ steps: 60, training: { precision: 'mixed' } })];
    const last = ({ result }: typeof single) => result?.metrics.at(-1)?.loss ?? NaN;
    expect(last(single)).toBeLessThan(4);
    expect(Math.abs(last(mixed) - last(single))).toBeLessThan(0.2);
  });

  it('ends where the nearest limit does, the schedule with it', async () => {
    const flops = (await train({ steps: 20 })).result!.metrics.at(-1)!.flops;
    const { result } = await train({ steps: 1000, training: { flops } });
    expect(result?.metrics.at(-1)?.step).toBe(20);
    const rates = limitsOf(trainingSchema.parse({ flops: 1e9, schedule: 'wsd', learningRate: 2 }), 16);
    const at = (share: number) => rates.rateAt(rates.position({ step: 0, flops: share * 1e9, seconds: 0 }));
    expect([at(0.5), at(0.9), at(1)].map((rate) => Number(rate.toFixed(6)))).toEqual([2, 1, 0]);
    const timed = limitsOf(trainingSchema.parse({ minutes: 2 }), 16);
    expect(timed.position({ step: 5, flops: 1, seconds: 60 }) / timed.total).toBe(0.5);
  });

  it('keeps the checkpoint of the least held-out loss besides the newest', async () => {
    const { directory, result } = await train({ steps: 40, heldout: [3, 2, 2.5, 2.4], training: { evaluateEvery: 10, keep: 1 } });
    expect(await listCheckpoints(directory)).toEqual([20, 40]);
    expect(result?.metrics.map(({ heldoutLoss }) => heldoutLoss)).toEqual([3, 2, 2.5, 2.4]);
  });

  it('stops at a loss that is no number, or leaves the step out', async () => {
    const wild = { learningRate: 1e30, batch: 2 };
    await expect(train({ steps: 40, training: wild })).rejects.toMatchObject({ code: 'TRAIN_LOSS_NAN' });
    await expect(train({ steps: 40, training: { ...wild, onBadStep: 'skip' } })).rejects.toMatchObject({ code: 'TRAIN_LOSS_NAN' });
  });

  it('leaves out a step whose loss is beyond its limit: nothing changes', async () => {
    using model = createModel(device, config, { seed: 1 });
    const training = trainingSchema.parse({ batch: 2 });
    using optimizers = new Optimizers(device, model, training);
    using step = new TrainingStep(device, model, training, optimizers);
    const batch = new Windows(source, { T: 16, seed: 1, matcher: inTurn() }).batch(0, 2);
    const before = await model.dense.flat.read();
    const settings = { step: 1, rate: 0.01, lossScale: 1 };
    const beyond = await (await step.run(batch, { ...settings, lossLimit: 1 })).report;
    expect(beyond.loss).toBeGreaterThan(1);
    expect(Number.isFinite(beyond.norm)).toBe(false);
    expect(await model.dense.flat.read()).toEqual(before);
    const within = await (await step.run(batch, { ...settings, lossLimit: 100 })).report;
    expect(within.loss).toBe(beyond.loss);
    expect(await model.dense.flat.read()).not.toEqual(before);
  });

  it('changes the residual rows of f-grams that it saw, and no others', async () => {
    const { parameters } = await train({ steps: 5, model: withRows });
    const rows = parameters.at(-1)!;
    expect(rows.length).toBe(3000 * 32);
    const seen = new Set(Array.from(tokens, (token, i) => (i === 0 ? -1 : tokens[i - 1] * 64 + token)));
    const changed = new Set(Array.from(rows.keys()).flatMap((i) => (rows[i] === 0 ? [] : [Math.floor(i / 32)])));
    expect(changed.size).toBeGreaterThan(10);
    for (const id of changed) expect(seen).toContain(id);
  });

  it('leaves out f-grams with the probability of their dropout, others at other steps', () => {
    const windows = new Windows(source, { T: 16, seed: 1, fgramDropout: 0.25, matcher: pairs() });
    const [a, again, b] = [windows.batch(3, 16), windows.batch(3, 16), windows.batch(4, 16)];
    expect(again).toEqual(a);
    expect(b.lengths).not.toEqual(a.lengths);
    const dropped = a.lengths.filter((length) => length === 1).length / a.lengths.length;
    expect(dropped).toBeGreaterThan(0.15);
    expect(dropped).toBeLessThan(0.35);
  });

  it('refuses a corpus shorter than one sequence', () => {
    expect(() => new Windows(sourceOf(new Int32Array(16)), { T: 16, seed: 1 })).toThrow(/fewer than one window/);
  });
});
