/** A training run under faults: whatever call fails and whenever the power does, the run goes on to the same bits. */
import path from 'node:path';
import { readCheckpoint } from '@sconelm/decoder';
import { checkpointFolder, createModel, listCheckpoints, type ModelConfig, runPaths } from '@sconelm/fgram-model';
import type { TokenSource } from '@sconelm/ngram-miner';
import { type Device, openDevice } from '@sconelm/tensor-webgpu';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { forEveryCall, forPowerCuts, times } from '../../../tools/faults/index.mjs';
import { readMetrics } from './run/metrics.js';
import { trainingSchema } from './run/training-config.js';
import { trainModel } from './trainer.js';
import { Windows } from './windows.js';

let device: Device;
beforeAll(async () => {
  device = await openDevice();
});
afterAll(() => device[Symbol.dispose]());

const config: ModelConfig = { decoder: { vocabSize: 32, contextLength: 8, layers: 1, width: 16, heads: 2 } };
const tokens = Int32Array.from({ length: 200 }, (_, i) => (i * i * 7 + i) % 31);
const source: TokenSource = {
  length: tokens.length,
  read: (from, into) => into.set(tokens.subarray(from, from + into.length)),
};

const steps = 4;
const stopped = new Error('stopped');

/** Trains, with a checkpoint after every step, to the end or to a step before. */
async function train(folder: string, { until = steps } = {}): Promise<void> {
  const abort = new AbortController();
  const model = createModel(device, config, { seed: 1 });
  try {
    await trainModel(device, model, new Windows(source, { T: 8, seed: 1 }), {
      training: trainingSchema.parse({ tokens: steps * 2 * 8, batch: 2, learningRate: 5e-3, seed: 1 }),
      directory: folder,
      checkpointSeconds: 0,
      signal: abort.signal,
      onProgress: ({ step }) => {
        if (step >= until && until < steps) abort.abort(stopped);
      },
    });
  } catch (error) {
    if (error !== stopped) throw error;
  } finally {
    model[Symbol.dispose]();
  }
}

/** The parameters at the end; before that only that the newest checkpoint is whole. */
async function read(folder: string): Promise<unknown> {
  const step = (await listCheckpoints(folder)).at(-1);
  if (step === undefined) return 'unfinished';
  const [model, optimizer] = await Promise.all(
    ['model', 'optimizer'].map((name) => readCheckpoint(path.join(checkpointFolder(folder, step), `${name}.safetensors`))),
  );
  const metrics = await readMetrics(runPaths(folder).metrics);
  if (step < steps) return 'unfinished';
  return { model: [...model!], moments: [...optimizer!], loss: metrics.map(({ loss }) => loss) };
}

describe.each(Object.entries({ 'a new run': 0, 'a run that goes on': 2 }))('%s', (_name, until) => {
  const writer = {
    ...(until === 0 ? {} : { setUp: (folder: string) => train(folder, { until }) }),
    write: (folder: string) => train(folder),
    read,
    varies: /state\.json$|metrics\.jsonl$|tfevents/, // they hold seconds
  };
  test('survives calls failing', async () => {
    const tried = await forEveryCall(writer, { step: times(8, 1) });
    expect(tried.EIO).toBeGreaterThan(10);
  });
  test('survives power cuts', async () => {
    const seen = await forPowerCuts(writer, { cuts: times(50, 5000) });
    expect(Math.min(seen.old, seen.new)).toBeGreaterThan(0);
  });
});
