/** A run from options on small text: tried before its first step, changed only when asked to, its whole way in three steps. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Progress } from '@sconelm/cli-kit';
import { exportModelFolder } from '@sconelm/decoder';
import { createModel, evaluate, HostTable, listCheckpoints, openModel, RowComputer, runPaths } from '@sconelm/fgram-model';
import { type Dataset, type FgramSet, mine, openDataset, prepareDataset } from '@sconelm/ngram-miner';
import { type Device, openDevice } from '@sconelm/tensor-webgpu';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { modelOf } from './model-config.js';
import { type PrecomputeRunOptions, precomputePart, precomputeRun } from './precompute-run.js';
import { preflight } from './preflight.js';
import { openPretrained } from './pretrained.js';
import { smoke } from './smoke.js';
import { type TrainRunOptions, trainRun } from './train-run.js';
import { modelFields, trainingSchema } from './training-config.js';

let folder: string;
let device: Device;
let data: Dataset;
let set: FgramSet;
const notes: string[] = [];
const progress = new Progress({ write: (line) => notes.push(line), terminal: false });
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'sconelm-run-'));
  const words = ['the', 'people', 'of', 'these', 'states', 'and', 'their', 'union'];
  const text = Array.from({ length: 4000 }, (_, i) => words[Math.floor(Math.abs(Math.sin(i * i)) * words.length)]).join(' ');
  const [train, heldout] = ['train', 'heldout'].map((name) => path.join(folder, `${name}.txt`));
  await writeFile(train, text);
  await writeFile(heldout, text.split(' ').slice(0, 500).reverse().join(' '));
  await prepareDataset({ directory: path.join(folder, 'data'), train: [train], heldout: [heldout], tokenizer: { vocabSize: 300 } });
  data = await openDataset(path.join(folder, 'data'));
  set = await mine(data.train.corpus, { directory: path.join(folder, 'fgrams'), maxLength: 3, minCount: 5, maxFgrams: 50 });
  device = await openDevice();
});
afterAll(async () => {
  device[Symbol.dispose]();
  progress[Symbol.dispose]();
  await rm(folder, { recursive: true });
});

const defaults = z.object(modelFields).parse({});

function optionsOf(name: string, training: z.input<typeof trainingSchema> = {}): TrainRunOptions {
  return {
    directory: path.join(folder, name),
    model: modelOf({ ...defaults, width: 16, contextLength: 32, layers: 1, fgramLayers: 1 }, 300, set),
    training: trainingSchema.parse({ tokens: 640, batch: 2, ...training }),
    inputs: { data, dataDirectory: path.join(folder, 'data'), fgrams: { set, directory: path.join(folder, 'fgrams') } },
    ...{ label: name, progress, preflight: true },
  };
}

const train = async (options: TrainRunOptions) => {
  const { model, result } = await trainRun(device, options);
  model[Symbol.dispose]();
  return result;
};

describe('a run', () => {
  it('is tried before its first step, and keeps what it was and wrote', async () => {
    const options = optionsOf('first', { evaluateEvery: 5, sampleEvery: 5 });
    const { metrics } = await train(options);
    expect(notes.join('')).toMatch(/tried: held-out loss \d\.\d+, a sample, a checkpoint of \d\.\d MB read back; [\d.]+ GB are free/);
    expect(notes.join('')).toMatch(/\d+% matched, .* MiB on the device/);
    expect(metrics.map(({ step, heldoutLoss }) => [step, heldoutLoss !== undefined])).toEqual([
      [5, true],
      [10, true],
    ]);
    const paths = runPaths(options.directory);
    const lines = async (file: string) =>
      (await readFile(file, 'utf8'))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
    expect((await lines(paths.samples)).map(({ step }) => step)).toEqual([5, 10]);
    const [session] = await lines(paths.sessions);
    expect(session.adapter).toBe(device.info.description);
    expect(session.commit).toMatch(/^[0-9a-f]{40}(-dirty)?$/);
    expect(existsSync(paths.events)).toBe(true);
    expect(existsSync(path.join(options.directory, 'preflight'))).toBe(false);
  });

  it('is evaluated, writes and has rows computed with residual rows in host memory as with rows on the device', async () => {
    const model = modelOf({ ...defaults, width: 16, contextLength: 32, layers: 1, fgramLayers: 1, rows: 'residual' }, 300, set);
    const found = [];
    for (const residualRows of ['device', 'host'] as const) {
      const options = optionsOf(`rows on the ${residualRows}`, { evaluateEvery: 5, sampleEvery: 5, residualRows });
      const { metrics } = await train({ ...options, model });
      const { samples } = runPaths(options.directory);
      using trained = await openModel(device, options.directory);
      expect(trained.residual instanceof HostTable).toBe(residualRows === 'host');
      using computer = new RowComputer(device, set, trained, trained.config.fgram!);
      const rows = new Float32Array(set.size * 16);
      await computer.compute(
        Uint32Array.from({ length: set.size }, (_, id) => id),
        rows,
      );
      found.push([metrics.map(({ loss, heldoutLoss }) => [loss, heldoutLoss]), await readFile(samples, 'utf8'), [...rows]]);
    }
    expect(found[1]).toEqual(found[0]);
  });

  it('is tried again where trying was cut off, and then leaves nothing of it', async () => {
    const options = optionsOf('cut off', { tokens: 640 });
    await train({ ...options, preflight: false, signal: AbortSignal.abort(new Error('cut off')) }).catch(() => {});
    await mkdir(path.join(options.directory, 'preflight'), { recursive: true });
    await writeFile(path.join(options.directory, 'preflight/.model.safetensors.aside'), 'half');
    notes.length = 0;
    await train(options);
    expect(notes.join('')).toMatch(/going on with cut off.*tried: /s);
    expect(existsSync(path.join(options.directory, 'preflight'))).toBe(false);
  });

  it('goes on with other options only where that is asked for, and says which', async () => {
    await train(optionsOf('changed'));
    const other = optionsOf('changed', { tokens: 1280, learningRate: 1e-3 });
    await expect(train(other)).rejects.toMatchObject({
      code: 'RUN_DIFFERS',
      message: expect.stringContaining('training.tokens 640, not 1280; training.learningRate 0.006, not 0.001'),
    });
    notes.length = 0;
    const { metrics } = await train({ ...other, allowChange: true });
    expect(notes.join('')).toContain('changed: training.learningRate 0.006, not 0.001');
    expect(metrics.at(-1)?.step).toBe(20);
    const wider = { ...other, allowChange: true, model: { decoder: { ...other.model.decoder, width: 32 } } };
    await expect(train(wider)).rejects.toMatchObject({
      code: 'RUN_DIFFERS',
      message: expect.stringContaining('model.decoder.width 16, not 32'),
    });
  });

  it('goes its whole way in three steps and leaves nothing', async () => {
    const options = optionsOf('smoked', { flops: 1e20 });
    const { losses, heldoutLoss, rows } = await smoke(device, options);
    expect([losses.length, rows]).toEqual([3, set.size]);
    expect(heldoutLoss).toBeGreaterThan(1);
    expect(existsSync(options.directory)).toBe(false);
    expect(existsSync(`${options.directory}.smoke`)).toBe(false);
  });

  it('gets rows for the f-grams of a second corpus, with no further training', async () => {
    const { model } = await trainRun(device, optionsOf('domains', { tokens: 1280 }));
    const second = path.join(folder, 'second.txt');
    await writeFile(second, 'their union of the people and not these states '.repeat(200));
    const tokenizer = JSON.parse(await readFile(path.join(folder, 'data', 'tokenizer.json'), 'utf8'));
    await prepareDataset({
      directory: path.join(folder, 'second'),
      train: [second],
      heldout: [path.join(folder, 'heldout.txt')],
      tokenizer,
    });
    const other = await openDataset(path.join(folder, 'second'));
    const mining = { maxLength: 3, minCount: 5, maxFgrams: 80 };
    const extended = await mine(other.train.corpus, {
      ...mining,
      directory: path.join(folder, 'fgrams-2'),
      extend: path.join(folder, 'fgrams'),
    });
    expect(extended.size).toBeGreaterThan(set.size);
    const rowsOf = (options: Pick<PrecomputeRunOptions, 'set' | 'base'>, name: string) =>
      precomputeRun(device, { model, store: `file:${path.join(folder, name)}`, rowDtype: 'f32', progress, ...options });
    await using own = await rowsOf({ set }, 'rows');
    await using pack = await rowsOf({ set: extended, base: { set, rows: own } }, 'rows-pack');
    // Two parts by processes of their own, and what is left by the one that publishes.
    const parts = { model, set: extended, store: `file:${path.join(folder, 'rows-anew')}`, rowDtype: 'f32' as const, progress };
    const counts = await Promise.all([1, 3].map((index) => precomputePart(device, parts, { index, parts: 3 })));
    expect(counts[0]).toBe(Math.floor(extended.size / 3));
    await using anew = await rowsOf({ set: extended }, 'rows-anew');
    const all = async (store: typeof pack) => {
      const rows = new Float32Array(store.rows * 16);
      await store.read(
        Uint32Array.from({ length: store.rows }, (_, id) => id),
        rows,
      );
      return rows;
    };
    expect(pack.rows).toBe(extended.size);
    expect(await all(pack)).toEqual(await all(anew));
    const wrong = await mine(other.train.corpus, { ...mining, directory: path.join(folder, 'fgrams-3') });
    await expect(rowsOf({ set: wrong, base: { set, rows: own } }, 'rows-wrong')).rejects.toMatchObject({ code: 'TRAIN_DATA' });
    const longer = await mine(other.train.corpus, { ...mining, maxLength: 5, directory: path.join(folder, 'fgrams-5') });
    await expect(rowsOf({ set: longer }, 'rows-longer')).rejects.toThrow(/up to 5 tokens long, the model was trained with 3/);
    model[Symbol.dispose]();
  });

  it('trains an f-gram model on a decoder that is there, and leaves that as it is', async () => {
    const decoder = {
      vocabSize: 300,
      contextLength: 32,
      layers: 1,
      width: 16,
      heads: 2,
      rotary: { base: 1e4 },
      norm: 'rms' as const,
      mlp: 'swiglu' as const,
      attentionBias: 'none' as const,
      mlpBias: false,
    };
    using there = createModel(device, { decoder }, { seed: 9 });
    const folderOfModel = path.join(folder, 'pretrained');
    await exportModelFolder(folderOfModel, decoder, there.dense);
    const pretrained = await openPretrained(device, folderOfModel, 300);
    expect(pretrained.unit).toBeGreaterThan(0.02);
    expect(pretrained.unit).toBeLessThan(0.05);
    const options = optionsOf('retrofit', { freezeMain: true, from: folderOfModel, evaluateEvery: 5 });
    const model = modelOf({ ...defaults, fgramLayers: 1, rows: 'residual' }, 300, set, pretrained);
    const { model: trained } = await trainRun(device, { ...options, model, pretrained });
    for (const { name } of there.variables) expect(await trained.dense.get(name).read(), name).toEqual(await there.dense.get(name).read());
    expect(Math.max(...(await trained.residual!.read()))).toBeGreaterThan(0);
    const tokens = await data.heldout.load();
    const [plain, through] = [
      await evaluate(device, there, tokens),
      await evaluate(device, trained, tokens, { matcher: set.matcher(0), rows: 'model' }),
    ];
    expect(through.loss).toBeLessThan(plain.loss);
    trained[Symbol.dispose]();
    await expect(openPretrained(device, folderOfModel, 400)).rejects.toMatchObject({ code: 'TRAIN_DATA' });
    await expect(
      train({
        ...options,
        directory: path.join(folder, 'none'),
        model: { decoder },
        inputs: { data, dataDirectory: path.join(folder, 'data') },
      }),
    ).rejects.toThrow(/nothing to train/);
  });

  it('is not begun where checkpoints would not fit, or the loss is no number', async () => {
    using model = createModel(device, optionsOf('none').model, { seed: 1 });
    const trying = { directory: folder, sample: async () => '' };
    await expect(preflight(model, { ...trying, checkpoints: 1e9 })).rejects.toMatchObject({
      code: 'TRAIN_PREFLIGHT',
      message: /checkpoints take/,
    });
    await expect(preflight(model, { ...trying, checkpoints: 1, evaluate: async () => NaN })).rejects.toThrow(/held-out loss is NaN/);
    expect(await listCheckpoints(folder)).toEqual([]);
  });
});
