/** Held-out loss over windows that stand alone, f-grams through a store as in inference or through the f-gram model as in training. */
import { decoderLosses } from '@sconelm/decoder';
import { type Device, hostTensor, type Program, type Result, type Tensor } from '@sconelm/tensor-webgpu';
import { batchForest } from './forest.js';
import type { FgramMatcher } from './inference.js';
import { lookUp, type RowSource } from './look-up.js';
import { batchInputs, embed, type ForestTensors, fgramRows } from './model.js';
import type { Model } from './scone-model.js';

export interface EvaluateOptions {
  /** Tells the match length of every position; needed with `rows`. */
  readonly matcher?: FgramMatcher;
  /** Where the embeddings of matched positions come from: a store, or the f-gram model itself; without it every position is its token's. */
  readonly rows?: RowSource | 'model';
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

/** Loss over all whole windows of `tokens`. @throws the signal's reason when aborted; whatever the store throws */
export async function evaluate(
  device: Device,
  model: Model,
  tokens: ArrayLike<number>,
  { matcher, rows, signal, onProgress }: EvaluateOptions = {},
): Promise<Evaluation> {
  const T = model.config.decoder.contextLength;
  const windows = Math.floor((tokens.length - 1) / T);
  using losses = rows === 'model' ? jointLosses(device, model) : lookUpLosses(device, model, rows);
  const byLength: Record<number, { count: number; loss: number }> = {};
  let sum = 0;
  for (let first = 0; first < windows; first += BATCH) {
    signal?.throwIfAborted();
    const count = Math.min(BATCH, windows - first);
    const batch = batchAt(tokens, first * T, count * T, T, matcher);
    const found = await losses.run(batch);
    for (let i = 0; i < count * T; i++) {
      const group = batch.lengths[i];
      byLength[group] ??= { count: 0, loss: 0 };
      byLength[group].count++;
      byLength[group].loss += found[i];
      sum += found[i];
    }
    onProgress?.((first + count) * T, windows * T);
  }
  return { loss: sum / (windows * T), tokens: windows * T, byLength };
}

/** The windows from `start` on; a short last batch is filled with token 0, so that one program serves all. */
function batchAt(tokens: ArrayLike<number>, start: number, count: number, T: number, matcher: FgramMatcher | undefined): Batch {
  const size = BATCH * T;
  const batch = {
    tokens: new Int32Array(size),
    targets: new Int32Array(size),
    ids: new Int32Array(size).fill(-1),
    lengths: new Uint8Array(size).fill(1),
  };
  for (let i = 0; i < count; i++) {
    batch.tokens[i] = tokens[start + i];
    batch.targets[i] = tokens[start + i + 1];
    if (matcher === undefined) continue;
    if (i % T === 0) matcher.reset();
    batch.ids[i] = matcher.push(tokens[start + i]);
    batch.lengths[i] = matcher.length;
  }
  return batch;
}

interface Losses extends Disposable {
  run(batch: Batch): Promise<Float32Array>;
}

async function floats(result: Result): Promise<Float32Array> {
  return (await result.data()) as Float32Array;
}

/** Matched positions take rows of the store. */
function lookUpLosses(device: Device, { config: { decoder }, parameters }: Model, store: RowSource | undefined): Losses {
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
function jointLosses(device: Device, { config: { decoder, fgram }, parameters }: Model): Losses {
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
          ...batchInputs(batchForest(tokens, lengths, T, fgram.maxLength, { bucket: NODE_BUCKET, ids }), [BATCH, T], fgram),
          targets: hostTensor(targets, [BATCH, T]),
        }).losses,
      ),
    [Symbol.dispose]: () => program[Symbol.dispose](),
  };
}
