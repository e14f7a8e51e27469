/** Training a model on windows of tokens; interrupted, it goes on from its last checkpoint with the same bits. (SCONE, section 3) */
import path from 'node:path';
import { acquireLock, readManifest, writeManifest } from '@sconelm/artifact';
import { decoderLosses, loadCheckpoint, saveCheckpoint } from '@sconelm/decoder';
import {
  batchForest,
  batchInputs,
  checkpointFolder,
  embed,
  type ForestTensors,
  fgramRows,
  listCheckpoints,
  type Model,
  type ModelConfig,
  publishCheckpoint,
  RowAdam,
  residualOf,
  runPaths,
} from '@sconelm/fgram-model';
import {
  AdamW,
  cosineSchedule,
  type Device,
  grad,
  type HostTensor,
  hostTensor,
  type Program,
  type Tensor,
  type Variable,
} from '@sconelm/tensor-webgpu';
import { z } from 'zod';
import { TrainError } from './errors.js';
import { type Metrics, MetricsLog } from './run/metrics.js';
import { stepsOf, type TrainingConfig } from './run/training-config.js';
import type { WindowBatch, Windows } from './windows.js';

export interface TrainOptions {
  readonly training: TrainingConfig;
  /** The run's folder. */
  readonly directory: string;
  readonly checkpointSeconds?: number;
  readonly signal?: AbortSignal;
  /** Called after every step; `loss` is the mean since the last line of the metrics. */
  readonly onProgress?: (progress: Metrics) => void;
}

export interface TrainResult {
  readonly metrics: readonly Metrics[];
  /** Forest nodes computed in all. */
  readonly nodes: number;
}

type BatchTensors = ForestTensors & {
  readonly baseTokens: Tensor;
  readonly nodeOf: Tensor;
  readonly targets: Tensor;
  readonly rates: Tensor;
};

/** Steps between lines of the metrics. */
const REPORT = 10;
/** Lines from one reading of the token table's deviation to the next. */
const DEVIATION = 10;

const stateForm = {
  kind: 'scone-training-state',
  version: 1,
  schema: z.strictObject({ step: z.int().positive(), seconds: z.number(), nodes: z.int() }),
};
type State = z.infer<typeof stateForm.schema>;

/** Matrices decay; the token table, positions, norms, biases and the gain do not. */
function isDecayed(name: string, rank: number): boolean {
  return rank === 2 && !/(^|\.)(tok|pos)\.weight$/.test(name);
}

/** @throws {TrainError} TRAIN_LOSS_NAN; {ArtifactError}: another process trains here; the signal's reason when aborted, with a checkpoint written */
export async function trainModel(device: Device, model: Model, windows: Windows, options: TrainOptions): Promise<TrainResult> {
  const { training, directory, checkpointSeconds = 60, signal, onProgress } = options;
  const { variables, dense, residual, config } = model;
  const T = config.decoder.contextLength;
  const { batch } = training;
  const steps = stepsOf(training, T);
  await using _lock = await acquireLock(path.join(directory, 'training.lock'));
  using optimizer = new AdamW(device, dense, {
    group: (name, shape) => ({
      weightDecay: isDecayed(name, shape.length) ? training.weightDecay : 0,
      rateFactor: name.startsWith('fgram.') ? training.fgramRate : 1,
    }),
  });
  using rowOptimizer = residual === undefined ? undefined : new RowAdam(device, residual, { rateFactor: training.tableRate });
  const moments = [...optimizer.moments, ...(rowOptimizer?.moments ?? [])];
  for (const moment of moments) moment.write(new Float32Array(moment.tensor.size));
  const rateOf = cosineSchedule({ peak: training.learningRate, warmup: Math.ceil(steps * 0.05), total: steps, floor: 0.1 });
  using program = trainingStep(device, model, optimizer, rowOptimizer);

  let { step, seconds, nodes } = await resume(directory, model, moments);
  await using log = await MetricsLog.open(runPaths(directory).metrics, step);
  const started = performance.now() - seconds * 1000;
  let saved = performance.now();
  const save = async () => {
    seconds = (performance.now() - started) / 1000;
    const state: State = { step, seconds, nodes };
    await log.sync();
    await publishCheckpoint(directory, step, async (aside) => {
      await saveCheckpoint(path.join(aside, 'model.safetensors'), variables);
      await saveCheckpoint(path.join(aside, 'optimizer.safetensors'), moments);
      await writeManifest(path.join(aside, 'state.json'), { kind: stateForm.kind, version: stateForm.version, ...state });
    });
    saved = performance.now();
  };
  const known: number[] = [];
  let pending: Promise<number>[] = [];
  let shown: Partial<Metrics> = {};
  while (step < steps) {
    if (signal?.aborted) {
      if (step > 0) await save();
      signal.throwIfAborted();
    }
    const next = windows.batch(step, batch);
    const { inputs, count } = batchOf(next, [batch, T], config.fgram);
    nodes += count;
    const rate = rateOf(step);
    const call = { ...inputs, targets: hostTensor(next.targets, [batch, T]), rates: hostTensor(optimizer.rates(step + 1, rate)) };
    await program.prepare(call);
    const { loss } = program.run(call);
    pending.push(loss.data().then(([value]) => value));
    step++;
    const isReport = step % REPORT === 0 || step === steps;
    // Two steps stay in flight: the device never waits for the host, and the host never runs far ahead.
    const settled = isReport ? pending : pending.slice(0, -2);
    pending = pending.slice(settled.length);
    known.push(...(await Promise.all(settled)));
    if (known.length === 0) continue;
    const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
    if (!Number.isFinite(mean)) {
      throw new TrainError(
        'TRAIN_LOSS_NAN',
        `the loss is ${mean} at step ${step}`,
        'Lower the learning rate; the last checkpoint is kept.',
      );
    }
    const metrics: Metrics = { step, tokens: step * batch * T, loss: mean, rate, nodes, seconds: (performance.now() - started) / 1000 };
    if (isReport) {
      known.length = 0;
      const line = { ...metrics, ...(await tableMetrics(model, step === steps || step % (REPORT * DEVIATION) === 0)) };
      await log.append(line);
      shown = { ...shown, ...line };
    }
    onProgress?.({ ...shown, ...metrics });
    if (performance.now() - saved > checkpointSeconds * 1000) await save();
  }
  if ((await listCheckpoints(directory)).at(-1) !== steps) await save();
  return { metrics: log.entries, nodes };
}

/** One step as a program: loss, gradients of every parameter, AdamW. */
function trainingStep(
  device: Device,
  { config, dense, parameters }: Model,
  optimizer: AdamW,
  rowOptimizer: RowAdam | undefined,
): Program<BatchTensors, { loss: Tensor }> {
  const { decoder, fgram } = config;
  return device.compile((x: BatchTensors) => {
    const touched = fgram === undefined ? undefined : residualOf(x, parameters, fgram);
    const embeddings =
      fgram === undefined
        ? parameters('tok.weight').gatherRows(x.baseTokens)
        : embed(fgramRows(x, parameters, fgram, touched), x, parameters);
    const loss = decoderLosses(embeddings, x.targets, parameters, decoder).mean();
    const gradients = grad(loss, [...dense.names.map(parameters), ...(touched === undefined ? [] : [touched])]);
    const { updates, norm } = optimizer.step(gradients.slice(0, dense.names.length), x.rates);
    const rowUpdates = rowOptimizer?.step(gradients[dense.names.length], x.nodeIds, x.rates, norm) ?? [];
    return { outputs: { loss }, updates: [...updates, ...rowUpdates] };
  });
}

function batchOf(
  { tokens, lengths, ids }: WindowBatch,
  shape: readonly [number, number],
  fgram: ModelConfig['fgram'],
): { inputs: Record<keyof Omit<BatchTensors, 'targets' | 'rates'>, HostTensor>; count: number } {
  if (fgram !== undefined) {
    const forest = batchForest(tokens, lengths, shape[1], fgram.maxLength, ids === undefined ? {} : { ids });
    return { inputs: batchInputs(forest, shape, fgram), count: forest.nodes };
  }
  const none = hostTensor(new Int32Array(1));
  return {
    inputs: {
      baseTokens: hostTensor(tokens, shape),
      nodeOf: none,
      nodeTokens: none,
      nodeIds: none,
      depths: none,
      ancestors: none,
      ends: none,
    },
    count: 0,
  };
}

/** The gain, and on demand the token table's deviation, which copies the whole table from the device. */
async function tableMetrics({ dense }: Model, withDeviation: boolean): Promise<Pick<Metrics, 'gain' | 'tokenDeviation'>> {
  return {
    ...(dense.names.includes('fgram.gain') ? { gain: (await dense.get('fgram.gain').read())[0] } : {}),
    ...(withDeviation ? { tokenDeviation: deviation(await dense.get('tok.weight').read()) } : {}),
  };
}

function deviation(values: ArrayLike<number>): number {
  let sum = 0;
  let squares = 0;
  for (let i = 0; i < values.length; i++) {
    sum += values[i];
    squares += values[i] ** 2;
  }
  const mean = sum / values.length;
  return Math.sqrt(squares / values.length - mean ** 2);
}

/** Loads the newest checkpoint, if there is one. */
async function resume(directory: string, { variables }: Model, moments: readonly Variable[]): Promise<State> {
  const step = (await listCheckpoints(directory)).at(-1);
  if (step === undefined) return { step: 0, seconds: 0, nodes: 0 };
  const folder = checkpointFolder(directory, step);
  const state = await readManifest(path.join(folder, 'state.json'), stateForm);
  await loadCheckpoint(path.join(folder, 'model.safetensors'), variables);
  await loadCheckpoint(path.join(folder, 'optimizer.safetensors'), moments);
  return state;
}
