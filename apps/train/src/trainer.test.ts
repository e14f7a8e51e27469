import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createModel, type ModelConfig } from '@sconelm/fgram-model';
import { type Device, openDevice } from '@sconelm/tensor-webgpu';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { trainingSchema } from './run/training-config.js';
import { trainModel } from './trainer.js';
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
const lengths = Uint8Array.from({ length: 400 }, (_, i) => 1 + (i % 3));
let run = 0;

async function train(options: { steps: number; seed?: number; stopAt?: number; directory?: string }) {
  const { steps, seed = 1, stopAt = Infinity, directory = join(folder, `run ${run++}`) } = options;
  const abort = new AbortController();
  const model = createModel(device, config, { seed });
  const windows = new Windows(tokens, lengths, { T: 16, seed });
  const onProgress = ({ step }: { step: number }) => {
    if (step >= stopAt) abort.abort(new Error('stopped'));
  };
  const result = await trainModel(device, model, windows, {
    training: trainingSchema.parse({ tokens: steps * 2 * 16, batch: 2, learningRate: 5e-3, seed }),
    directory,
    signal: abort.signal,
    onProgress,
  }).catch((error: unknown) => {
    if (stopAt === Infinity) throw error;
    return undefined;
  });
  return { directory, result, parameters: await model.variables.flat.read() };
}

describe('training', () => {
  it('gives the same bits twice with one seed, and other bits with another', async () => {
    const [a, b, c] = [await train({ steps: 30 }), await train({ steps: 30 }), await train({ steps: 30, seed: 2 })];
    expect(b.parameters).toEqual(a.parameters);
    expect(c.parameters).not.toEqual(a.parameters);
  });

  it('interrupted and resumed, equals a run that was not interrupted', async () => {
    const whole = await train({ steps: 40 });
    const stopped = await train({ steps: 40, stopAt: 20 });
    expect(stopped.result).toBeUndefined();
    const resumed = await train({ steps: 40, directory: stopped.directory });
    expect(resumed.parameters).toEqual(whole.parameters);
    const curve = (result: typeof whole.result) => result?.metrics.map(({ seconds: _, ...rest }) => rest);
    expect(curve(resumed.result)).toEqual(curve(whole.result));
    expect(curve(resumed.result)?.length).toBe(4);
  });

  it('overfits one batch to a loss below 0.05', async () => {
    const model = createModel(device, config, { seed: 3 });
    const few = Int32Array.from({ length: 33 }, (_, i) => (i * i * 7 + i) % 61);
    const windows = new Windows(few, lengths.slice(0, 33), { T: 16, seed: 3 });
    const { metrics } = await trainModel(device, model, windows, {
      training: trainingSchema.parse({ tokens: 300 * 2 * 16, batch: 2, learningRate: 1e-2 }),
      directory: join(folder, 'overfit'),
    });
    expect(metrics.at(-1)?.loss).toBeLessThan(0.05);
  });

  it('refuses a corpus shorter than one sequence', () => {
    expect(() => new Windows(new Int32Array(16), new Uint8Array(16), { T: 16, seed: 1 })).toThrow(/fewer than one window/);
  });
});
