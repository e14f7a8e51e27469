/** Every row of the f-gram set, computed once: f-grams in lexicographic order share prefixes, so each costs about one node. */
import type { Parameters } from '@sconelm/decoder';
import type { Device, Tensor } from '@sconelm/tensor-webgpu';
import type { FgramModelConfig } from './config.js';
import { buildForest } from './forest.js';
import { type ForestTensors, fgramRows, forestInputs } from './model.js';

/** What is needed of an f-gram set. */
export interface FgramSource {
  readonly size: number;
  /** The tokens of f-gram `id`. */
  tokensOf(id: number): Uint32Array;
}

/** Where rows go. */
export interface RowSink {
  /** @param ids in any order @param rows [ids.length, width] */
  write(ids: Uint32Array, rows: Float32Array): Promise<void>;
  /** Whether a row is there already, from an interrupted run. */
  has?(id: number): boolean;
}

export interface PrecomputeOptions {
  readonly chunk?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

function compareTokens(a: Uint32Array, b: Uint32Array): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}

/** Writes the rows that the sink has not yet; memory is bounded by `chunk` f-grams. @throws the signal's reason when aborted */
export async function precompute(
  device: Device,
  set: FgramSource,
  parameters: Parameters,
  config: FgramModelConfig,
  sink: RowSink,
  { chunk = 4096, signal, onProgress }: PrecomputeOptions = {},
): Promise<void> {
  const all = Array.from({ length: set.size }, (_, id) => ({ id, tokens: set.tokensOf(id) }));
  const missing = all.filter(({ id }) => sink.has?.(id) !== true).sort((a, b) => compareTokens(a.tokens, b.tokens));
  let done = set.size - missing.length;
  using program = device.compile(
    (inputs: { [K in keyof ForestTensors]: Tensor }) => ({ outputs: { rows: fgramRows(inputs, parameters, config) } }),
    { batchInvariant: true },
  );
  for (let from = 0; from < missing.length; from += chunk) {
    signal?.throwIfAborted();
    const part = missing.slice(from, from + chunk);
    const tokens = part.flatMap((fgram) => [...fgram.tokens]);
    const lengths = part.map((fgram) => fgram.tokens.length);
    const starts = [0];
    for (const length of lengths.slice(0, -1)) starts.push(starts[starts.length - 1] + length);
    const forest = buildForest({ tokens, starts, lengths }, config.maxLength, 1024);
    const rows = (await program.run(forestInputs(forest)).rows.data()) as Float32Array;
    const { width } = config;
    const chosen = new Float32Array(part.length * width);
    part.forEach((_, i) => {
      chosen.set(rows.subarray(forest.last[i] * width, (forest.last[i] + 1) * width), i * width);
    });
    await sink.write(
      Uint32Array.from(part, ({ id }) => id),
      chosen,
    );
    done += part.length;
    onProgress?.(done, set.size);
  }
}
