/** Held-out loss of a model, SCONE through its store as in inference, and the time a decoded token takes. */
import { DecodeSession, decoderLosses, type Sampler } from '@sconelm/decoder';
import { FgramSession } from '@sconelm/fgram-model';
import type { FgramSet } from '@sconelm/ngram-miner';
import type { RowStore } from '@sconelm/offload-store';
import { type Device, hostTensor, type Tensor } from '@sconelm/tensor-webgpu';
import type { Model } from './model.js';

/** F-grams by store; both absent for a plain decoder. */
export interface Lookup {
  readonly set: FgramSet;
  readonly store: RowStore;
}

export interface Evaluation {
  /** Mean nats per token. */
  readonly loss: number;
  readonly tokens: number;
  /** Per match length (1: none): targets predicted from such a position, and their summed loss. */
  readonly byLength: Readonly<Record<number, { readonly count: number; readonly loss: number }>>;
}

/** Windows per batch. */
const BATCH = 16;

/** Embedding inputs of windows that stand alone: tokens where nothing matches, rows of the store elsewhere. */
export async function lookUp(
  tokens: Int32Array,
  T: number,
  width: number,
  boundary: number,
  lookup: Lookup | undefined,
): Promise<{ baseTokens: Int32Array<ArrayBuffer>; rows: Float32Array<ArrayBuffer>; ids: Int32Array; lengths: Uint8Array }> {
  const baseTokens = Int32Array.from(tokens);
  const rows = new Float32Array(tokens.length * width);
  const ids = new Int32Array(tokens.length).fill(-1);
  const lengths = new Uint8Array(tokens.length).fill(1);
  if (lookup === undefined) return { baseTokens, rows, ids, lengths };
  for (let start = 0; start < tokens.length; start += T) {
    lookup.set.match(tokens.subarray(start, start + T), {
      ids: ids.subarray(start, start + T),
      lengths: lengths.subarray(start, start + T),
      boundary,
    });
  }
  const matched = Uint32Array.from(ids.filter((id) => id >= 0));
  const found = new Float32Array(matched.length * width);
  await lookup.store.read(matched, found);
  let next = 0;
  ids.forEach((id, i) => {
    if (id < 0) return;
    baseTokens[i] = -1;
    rows.set(found.subarray(next * width, (next + 1) * width), i * width);
    next++;
  });
  return { baseTokens, rows, ids, lengths };
}

/** Loss over all whole windows of `tokens`. */
export async function evaluate(
  device: Device,
  { config: { decoder }, parameters }: Model,
  tokens: ArrayLike<number>,
  boundary: number,
  lookup?: Lookup,
  groups?: Uint8Array,
): Promise<Evaluation> {
  const { contextLength: T, width } = decoder;
  const windows = Math.floor((tokens.length - 1) / T);
  using program = device.compile(({ baseTokens, rows, targets }: { baseTokens: Tensor; rows: Tensor; targets: Tensor }) => ({
    outputs: { losses: decoderLosses(parameters('tok.weight').gatherRows(baseTokens).add(rows), targets, parameters, decoder) },
  }));
  const byLength: Record<number, { count: number; loss: number }> = {};
  let sum = 0;
  for (let first = 0; first < windows; first += BATCH) {
    const count = Math.min(BATCH, windows - first);
    const slice = (offset: number) => Int32Array.from({ length: count * T }, (_, i) => tokens[first * T + i + offset]);
    const { baseTokens, rows, lengths } = await lookUp(slice(0), T, width, boundary, lookup);
    const result = program.run({
      baseTokens: hostTensor(baseTokens, [count, T]),
      rows: hostTensor(rows, [count, T, width]),
      targets: hostTensor(slice(1), [count, T]),
    });
    const losses = await result.losses.data();
    losses.forEach((loss, i) => {
      sum += loss;
      const group = groups === undefined ? lengths[i] : groups[first * T + i];
      byLength[group] ??= { count: 0, loss: 0 };
      byLength[group].count++;
      byLength[group].loss += loss;
    });
  }
  return { loss: sum / (windows * T), tokens: windows * T, byLength };
}

export interface Generated {
  readonly tokens: readonly number[];
  /** Length of the f-gram that ends at each token; 1 for none. */
  readonly lengths: readonly number[];
  readonly msPerToken: number;
}

/** Generates up to the context's length, one token at a time. */
export async function generate(
  device: Device,
  { config: { decoder }, parameters }: Model,
  prompt: readonly number[],
  boundary: number,
  { count, sampler, lookup }: { readonly count: number; readonly sampler: Sampler; readonly lookup?: Lookup },
): Promise<Generated> {
  const { width, vocabSize } = decoder;
  using session = new DecodeSession(device, decoder, parameters);
  const decoding = new FgramSession(session, width, lookup && { matcher: lookup.set.matcher(boundary), rows: lookup.store });
  const embed = async (tokens: readonly number[]) => (await decoding.append(tokens)).subarray((tokens.length - 1) * vocabSize);
  const tokens = [...prompt];
  let logits = await embed(prompt);
  const times: number[] = [];
  for (let i = 0; i < count && session.length < decoder.contextLength; i++) {
    const started = performance.now();
    const token = sampler.next(logits);
    tokens.push(token);
    logits = await embed([token]);
    times.push(performance.now() - started);
  }
  times.sort((a, b) => a - b);
  return { tokens, lengths: decoding.lengths, msPerToken: times[times.length >> 1] ?? 0 };
}
