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

async function train(options: { steps: number; seed?: number; stopAt?: number; directory?: string; model?: ModelConfig }) {
  const { steps, seed = 1, stopAt = Infinity, directory = join(folder, `run ${run++}`), model: ofRun = config } = options;
  const abort = new AbortController();
  const model = createModel(device, ofRun, { seed });
  const windows =
    ofRun === withRows
      ? new Windows(tokens, new Uint8Array(400).fill(2), { T: 16, seed, fgramDropout: 0.3, matcher: pairs() })
      : new Windows(tokens, lengths, { T: 16, seed });
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
  return { directory, result, parameters: await Promise.all(model.variables.map((variable) => variable.read())) };
}

describe('training', () => {
  it('gives the same bits twice with one seed, and other bits with another', async () => {
    const [a, b, c] = [await train({ steps: 30 }), await train({ steps: 30 }), await train({ steps: 30, seed: 2 })];
    expect(b.parameters).toEqual(a.parameters);
    expect(c.parameters).not.toEqual(a.parameters);
  });

  it.each([
    ['of an f-gram model', config],
    ['with residual rows and dropout of f-grams', withRows],
  ])('%s, interrupted and resumed, equals a run that was not interrupted', async (_, model) => {
    const whole = await train({ steps: 40, model });
    const stopped = await train({ steps: 40, stopAt: 20, model });
    expect(stopped.result).toBeUndefined();
    const resumed = await train({ steps: 40, directory: stopped.directory, model });
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
    const windows = new Windows(tokens, new Uint8Array(400).fill(2), { T: 16, seed: 1, fgramDropout: 0.25 });
    const [a, again, b] = [windows.batch(3, 16), windows.batch(3, 16), windows.batch(4, 16)];
    expect(again).toEqual(a);
    expect(b.lengths).not.toEqual(a.lengths);
    const dropped = a.lengths.filter((length) => length === 1).length / a.lengths.length;
    expect(dropped).toBeGreaterThan(0.15);
    expect(dropped).toBeLessThan(0.35);
  });

  it('refuses a corpus shorter than one sequence', () => {
    expect(() => new Windows(new Int32Array(16), new Uint8Array(16), { T: 16, seed: 1 })).toThrow(/fewer than one window/);
  });
});
