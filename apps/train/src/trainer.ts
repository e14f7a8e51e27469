/** Training a model on windows of tokens; interrupted, it goes on from its last checkpoint with the same bits. (SCONE, section 3) */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { publishBytes, publishDirectory } from '@sconelm/artifact';
import { decoderLosses, loadCheckpoint, saveCheckpoint } from '@sconelm/decoder';
import { batchForest, batchInputs, embed, type ForestTensors, fgramRows } from '@sconelm/fgram-model';
import { AdamW, cosineSchedule, type Device, grad, type HostTensor, hostTensor, type Tensor } from '@sconelm/tensor-webgpu';
import { TrainError } from './errors.js';
import type { Model } from './model.js';
import type { WindowBatch, Windows } from './windows.js';

export interface TrainOptions {
  readonly steps: number;
  /** Windows per step. */
  readonly batch: number;
  readonly learningRate: number;
  readonly weightDecay?: number;
  /** The f-gram model's learning rate as a share of the decoder's. */
  readonly fgramRate?: number;
  /** Where checkpoints go. */
  readonly directory: string;
  readonly checkpointSeconds?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: TrainProgress) => void;
}

export interface TrainProgress {
  readonly step: number;
  /** Mean loss since the last report, nats. */
  readonly loss: number;
  /** Forest nodes per position. */
  readonly nodes: number;
}

export interface TrainResult {
  /** [step, loss] pairs. */
  readonly curve: readonly (readonly [step: number, loss: number])[];
  readonly seconds: number;
  /** Forest nodes computed in all. */
  readonly nodes: number;
}

type BatchTensors = ForestTensors & {
  readonly baseTokens: Tensor;
  readonly nodeOf: Tensor;
  readonly targets: Tensor;
  readonly rates: Tensor;
};

/** Steps between reports. */
const REPORT = 10;

interface State {
  readonly step: number;
  readonly curve: [number, number][];
  readonly seconds: number;
  readonly nodes: number;
}

/** Matrices decay; the token table, positions, norms, biases and the gain do not. */
function isDecayed(name: string, rank: number): boolean {
  return rank === 2 && !/(^|\.)(tok|pos)\.weight$/.test(name);
}

/** @throws {TrainError} TRAIN_LOSS_NAN; the signal's reason when aborted, with a checkpoint written */
export async function trainModel(device: Device, model: Model, windows: Windows, options: TrainOptions): Promise<TrainResult> {
  const { steps, batch, learningRate, weightDecay = 0.1, fgramRate = 0.5, directory, checkpointSeconds = 60, signal, onProgress } = options;
  const { variables, parameters, config } = model;
  const { decoder, fgram } = config;
  const T = decoder.contextLength;
  using optimizer = new AdamW(device, variables, {
    group: (name, shape) => ({
      weightDecay: isDecayed(name, shape.length) ? weightDecay : 0,
      rateFactor: name.startsWith('fgram.') ? fgramRate : 1,
    }),
  });
  for (const moment of optimizer.moments) moment.write(new Float32Array(moment.tensor.size));
  const schedule = cosineSchedule({ peak: learningRate, warmup: Math.ceil(steps * 0.05), total: steps, floor: 0.1 });
  using program = device.compile((x: BatchTensors) => {
    const tokens = x.baseTokens;
    const embeddings =
      fgram === undefined ? parameters('tok.weight').gatherRows(tokens) : embed(fgramRows(x, parameters, fgram), x, parameters);
    const loss = decoderLosses(embeddings, x.targets, parameters, decoder).mean();
    const { updates } = optimizer.step(grad(loss, variables.names.map(parameters)), x.rates);
    return { outputs: { loss }, updates };
  });

  const checkpoint = path.join(directory, 'checkpoint');
  let { step, curve, seconds, nodes } = await resume(checkpoint, model, optimizer);
  const started = performance.now() - seconds * 1000;
  let saved = performance.now();
  const save = async () => {
    seconds = (performance.now() - started) / 1000;
    const state: State = { step, curve, seconds, nodes };
    await publishDirectory(checkpoint, async (aside) => {
      await saveCheckpoint(path.join(aside, 'model.safetensors'), variables);
      await saveCheckpoint(path.join(aside, 'optimizer.safetensors'), optimizer.moments);
      await publishBytes(path.join(aside, 'state.json'), JSON.stringify(state));
    });
    saved = performance.now();
  };
  let pending: Promise<number>[] = [];
  while (step < steps) {
    if (signal?.aborted) {
      await save();
      signal.throwIfAborted();
    }
    const next = windows.batch(step, batch);
    const { inputs, count } = batchOf(next, [batch, T], fgram?.maxLength);
    nodes += count;
    const { loss } = program.run({
      ...inputs,
      targets: hostTensor(next.targets, [batch, T]),
      rates: hostTensor(optimizer.rates(step + 1, schedule(step))),
    });
    pending.push(loss.data().then(([value]) => value));
    step++;
    // Two steps stay in flight: the device never waits for the host, and the host never runs far ahead.
    if (pending.length > 2) await pending[pending.length - 3];
    if (step % REPORT === 0 || step === steps) {
      const losses = await Promise.all(pending);
      pending = [];
      const loss = losses.reduce((sum, value) => sum + value, 0) / losses.length;
      if (!Number.isFinite(loss))
        throw new TrainError(
          'TRAIN_LOSS_NAN',
          `the loss is ${loss} at step ${step}`,
          'Lower the learning rate; the last checkpoint is kept.',
        );
      curve.push([step, loss]);
      onProgress?.({ step, loss, nodes: nodes / (step * batch * T) });
      if (performance.now() - saved > checkpointSeconds * 1000) await save();
    }
  }
  await save();
  return { curve, seconds, nodes };
}

function batchOf(
  { tokens, lengths }: WindowBatch,
  shape: readonly [number, number],
  maxLength: number | undefined,
): { inputs: Record<keyof Omit<BatchTensors, 'targets' | 'rates'>, HostTensor>; count: number } {
  if (maxLength !== undefined) {
    const forest = batchForest(tokens, lengths, shape[1], maxLength);
    return { inputs: batchInputs(forest, shape), count: forest.nodes };
  }
  const none = hostTensor(new Int32Array(1));
  return {
    inputs: { baseTokens: hostTensor(tokens, shape), nodeOf: none, nodeTokens: none, depths: none, ancestors: none, ends: none },
    count: 0,
  };
}

async function resume(checkpoint: string, { variables }: Model, optimizer: AdamW): Promise<State> {
  const file = path.join(checkpoint, 'state.json');
  if (!existsSync(file)) return { step: 0, curve: [], seconds: 0, nodes: 0 };
  let state: State;
  try {
    state = JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    throw new TrainError('TRAIN_STATE', `${file} is not a training state`, 'Delete the run’s folder and train again.', cause);
  }
  await loadCheckpoint(path.join(checkpoint, 'model.safetensors'), variables);
  await loadCheckpoint(path.join(checkpoint, 'optimizer.safetensors'), optimizer.moments);
  return state;
}
