/** Held-out loss over windows that stand alone, f-grams through a store as in inference or through the f-gram model as in training. */
import { decoderLosses } from '@sconelm/decoder';
import { type Device, hostTensor, type Program, type Result, type Tensor } from '@sconelm/tensor-webgpu';
import { batchForest } from './forest.js';
import type { FgramMatcher } from './inference.js';
import { lookUp, type RowSource } from './look-up.js';
import { batchInputs, embed, type ForestTensors, fgramRows } from './model.js';
import { hostRowsOf, type InferenceModel } from './scone-model.js';

/** A piece of text that is fed to the model alone; the losses of its first positions may be left uncounted, because they had little before them. */
export interface EvaluationWindow {
  readonly start: number;
  /** Positions, at most the context length; each predicts the token after it. */
  readonly length: number;
  /** The first position that counts. */
  readonly from: number;
}

/** One position and the loss of the token after it. */
export interface PositionLoss {
  readonly position: number;
  /** The longest f-gram that ends there, −1 for none, and its length, 1 for none. */
  readonly id: number;
  readonly length: number;
  /** Nats. */
  readonly loss: number;
}

export interface EvaluateOptions {
  /** Tells the match of every position; needed with `rows`. */
  readonly matcher?: FgramMatcher;
  /** Where the embeddings of matched positions come from: a store, or the f-gram model itself; without it every position is its token's. */
  readonly rows?: RowSource | 'model';
  /** What is read; by default whole windows side by side. */
  readonly windows?: readonly EvaluationWindow[];
  /** Called for every position that counts. */
  readonly visit?: (found: PositionLoss) => void;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

export interface Evaluation {
  /** Mean nats per token. */
  readonly loss: number;
  readonly tokens: number;
  /** Per match length (1: none): positions, and the sum of the losses of the tokens that follow them. */
  readonly byLength: Readonly<Record<number, { readonly count: number; readonly loss: number }>>;
}

/** Windows per batch. */
const BATCH = 16;
/** Forests of an evaluation are padded to few sizes, because each is a program of its own. */
const NODE_BUCKET = 1024;

interface Batch {
  readonly tokens: Int32Array<ArrayBuffer>;
  readonly targets: Int32Array<ArrayBuffer>;
  readonly ids: Int32Array<ArrayBuffer>;
  readonly lengths: Uint8Array<ArrayBuffer>;
}

/** Windows of T positions side by side, as in training; the rest at the end is left out. @param count tokens */
export function wholeWindows(count: number, T: number): EvaluationWindow[] {
  return Array.from({ length: Math.max(0, Math.floor((count - 1) / T)) }, (_, i) => ({ start: i * T, length: T, from: 0 }));
}

/**
 * Windows that move by `stride`: every token but a text's first is predicted once, with at least T − stride tokens before it where there are
 * so many. @param count tokens of one text @param start its first token's place
 */
export function stridedWindows(count: number, { T, stride, start = 0 }: { T: number; stride: number; start?: number }): EvaluationWindow[] {
  const windows: EvaluationWindow[] = [];
  for (let at = 0, done = 0; done < count - 1; at += stride) {
    const length = Math.min(T, count - 1 - at);
    windows.push({ start: start + at, length, from: done - at });
    done = at + length;
  }
  return windows;
}

/** Loss over windows of `tokens`. @throws the signal's reason when aborted; whatever the store throws */
export async function evaluate(
  device: Device,
  model: InferenceModel,
  tokens: ArrayLike<number>,
  {
    matcher,
    rows,
    windows = wholeWindows(tokens.length, model.config.decoder.contextLength),
    visit,
    signal,
    onProgress,
  }: EvaluateOptions = {},
): Promise<Evaluation> {
  const T = model.config.decoder.contextLength;
  using losses = rows === 'model' ? jointLosses(device, model) : lookUpLosses(device, model, rows);
  const byLength: Record<number, { count: number; loss: number }> = {};
  const total = windows.reduce((positions, { length, from }) => positions + length - from, 0);
  let sum = 0;
  let count = 0;
  for (let first = 0; first < windows.length; first += BATCH) {
    signal?.throwIfAborted();
    const some = windows.slice(first, first + BATCH);
    const batch = batchOf(tokens, some, T, matcher);
    const found = await losses.run(batch);
    some.forEach(({ start, length, from }, row) => {
      for (let t = from; t < length; t++) {
        const i = row * T + t;
        const group = batch.lengths[i];
        byLength[group] ??= { count: 0, loss: 0 };
        byLength[group].count++;
        byLength[group].loss += found[i];
        sum += found[i];
        count++;
        visit?.({ position: start + t, id: batch.ids[i], length: group, loss: found[i] });
      }
    });
    onProgress?.(count, total);
  }
  return { loss: sum / count, tokens: count, byLength };
}

/** One row per window; what is missing is filled with token 0, so that one program serves all. */
function batchOf(tokens: ArrayLike<number>, windows: readonly EvaluationWindow[], T: number, matcher: FgramMatcher | undefined): Batch {
  const size = BATCH * T;
  const batch = {
    tokens: new Int32Array(size),
    targets: new Int32Array(size),
    ids: new Int32Array(size).fill(-1),
    lengths: new Uint8Array(size).fill(1),
  };
  windows.forEach(({ start, length }, row) => {
    matcher?.reset();
    for (let t = 0; t < length; t++) {
      const i = row * T + t;
      batch.tokens[i] = tokens[start + t];
      batch.targets[i] = tokens[start + t + 1];
      if (matcher === undefined) continue;
      batch.ids[i] = matcher.push(tokens[start + t]);
      batch.lengths[i] = matcher.length;
    }
  });
  return batch;
}

interface Losses extends Disposable {
  run(batch: Batch): Promise<Float32Array>;
}

async function floats(result: Result): Promise<Float32Array> {
  return (await result.data()) as Float32Array;
}

/** Matched positions take rows of the store. */
function lookUpLosses(device: Device, { config: { decoder }, parameters }: InferenceModel, store: RowSource | undefined): Losses {
  const { contextLength: T, width } = decoder;
  type Inputs = { baseTokens: Tensor; rows: Tensor; targets: Tensor };
  const program: Program<Inputs, { losses: Tensor }> = device.compile(({ baseTokens, rows, targets }: Inputs) => ({
    outputs: { losses: decoderLosses(parameters('tok.weight').gatherRows(baseTokens).add(rows), targets, parameters, decoder) },
  }));
  return {
    async run({ tokens, targets, ids }) {
      const { tokens: baseTokens, rows } = await lookUp(store, tokens, ids, width);
      return floats(
        program.run({
          baseTokens: hostTensor(baseTokens, [BATCH, T]),
          rows: hostTensor(rows, [BATCH, T, width]),
          targets: hostTensor(targets, [BATCH, T]),
        }).losses,
      );
    },
    [Symbol.dispose]: () => program[Symbol.dispose](),
  };
}

/** Matched positions are computed by the f-gram model. */
function jointLosses(device: Device, { config: { decoder, fgram }, parameters, residual }: InferenceModel): Losses {
  const table = hostRowsOf({ residual });
  if (fgram === undefined) throw new Error('unreachable: a plain decoder has no f-gram model to evaluate with');
  const T = decoder.contextLength;
  type Inputs = ForestTensors & { baseTokens: Tensor; nodeOf: Tensor; targets: Tensor };
  const program: Program<Inputs, { losses: Tensor }> = device.compile((x: Inputs) => ({
    outputs: { losses: decoderLosses(embed(fgramRows(x, parameters, fgram), x, parameters), x.targets, parameters, decoder) },
  }));
  return {
    run: ({ tokens, targets, lengths, ids }) =>
      floats(
        program.run({
          ...batchInputs(batchForest(tokens, lengths, T, fgram.maxLength, { bucket: NODE_BUCKET, ids }), [BATCH, T], fgram, table),
          targets: hostTensor(targets, [BATCH, T]),
        }).losses,
      ),
    [Symbol.dispose]: () => program[Symbol.dispose](),
  };
}
