/** Every row of the f-gram set, residual rows added, computed once: f-grams in lexicographic order share prefixes, so each costs about one node. */
import type { Device, Program, Tensor } from '@sconelm/tensor-webgpu';
import type { FgramModelConfig } from './config.js';
import { buildForest } from './forest.js';
import type { HostTable } from './host-table.js';
import { type ForestTensors, fgramRows, forestInputs } from './model.js';
import { hostRowsOf, type InferenceModel } from './scone-model.js';

/** What is needed of an f-gram set. */
export interface FgramSource {
  readonly size: number;
  /** The tokens of f-gram `id`. */
  tokensOf(id: number): Uint32Array;
}

/** What rows are computed by. */
type RowModel = Pick<InferenceModel, 'parameters' | 'residual'>;

/** Where rows go. */
export interface RowSink {
  /** @param ids in any order @param rows [ids.length, width] */
  write(ids: Uint32Array, rows: Float32Array): Promise<void>;
  /** Whether a row is there already, from an interrupted run. */
  has?(id: number): boolean;
}

export interface PrecomputeOptions {
  /** F-grams at a time; by default so many that their forest just fits the device's sizes. */
  readonly chunk?: number;
  /** Only these ids: other processes may compute the others. */
  readonly range?: { readonly from: number; readonly to: number };
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

/** Forests are padded to few sizes, because each is a program of its own. */
const NODE_BUCKET = 1024;
const FEW_NODES = 16;
/** Of a set that is whole only the first f-gram of a chunk adds prefixes that are no rows of it, K − 1 at most. */
const CHUNK = 4 * NODE_BUCKET - 8;

/** Computes rows of an f-gram set, any of them; owns a program. */
export class RowComputer implements Disposable {
  readonly #set: FgramSource;
  readonly #config: FgramModelConfig;
  readonly #table: HostTable | undefined;
  readonly #program: Program<{ [K in keyof ForestTensors]: Tensor }, { rows: Tensor }>;

  constructor(device: Device, set: FgramSource, model: RowModel, config: FgramModelConfig) {
    this.#set = set;
    this.#table = hostRowsOf(model);
    this.#config = config;
    this.#program = device.compile(
      (inputs: { [K in keyof ForestTensors]: Tensor }) => ({ outputs: { rows: fgramRows(inputs, model.parameters, config) } }),
      { batchInvariant: true },
    );
  }

  /**
   * Calls may overlap: the device works on one while the host makes the forest of the next.
   * @param ids [n]; best in the f-grams' lexicographic order, so that neighbours share prefixes @param into [n, width], filled
   */
  async compute(ids: Uint32Array, into: Float32Array): Promise<void> {
    const { width, maxLength } = this.#config;
    const tokens = new Uint32Array(ids.length * maxLength);
    const lengths = new Uint8Array(ids.length);
    const starts = Uint32Array.from(ids, (_, i) => i * maxLength);
    ids.forEach((id, i) => {
      const own = this.#set.tokensOf(id);
      tokens.set(own, starts[i]);
      lengths[i] = own.length;
    });
    // A row that is wanted by itself is not computed beside a thousand places that are nobody's.
    const nodes = lengths.reduce((sum, length) => sum + length, 0);
    const bucket = Math.min(NODE_BUCKET, Math.max(FEW_NODES, 2 ** Math.ceil(Math.log2(nodes))));
    const forest = buildForest({ tokens, starts, lengths, ids }, maxLength, bucket);
    // A result is copied as it is when it is asked for, and nothing comes between the two.
    const rows = (await this.#program.run(forestInputs(forest, this.#config, this.#table)).rows.data()) as Float32Array;
    for (let i = 0; i < ids.length; i++) into.set(rows.subarray(forest.last[i] * width, (forest.last[i] + 1) * width), i * width);
  }

  [Symbol.dispose](): void {
    this.#program[Symbol.dispose]();
  }
}

/** Writes the rows that the sink has not yet; memory is bounded by `chunk` f-grams and 4 (K + 3) bytes for each of the range. @throws the signal's reason when aborted */
export async function precompute(
  device: Device,
  set: FgramSource,
  model: RowModel,
  config: FgramModelConfig,
  sink: RowSink,
  { chunk = CHUNK, range = { from: 0, to: set.size }, signal, onProgress }: PrecomputeOptions = {},
): Promise<void> {
  const missing = lexicographic(set, config.maxLength, range, sink);
  const total = range.to - range.from;
  let done = total - missing.length;
  using computer = new RowComputer(device, set, model, config);
  const compute = async (ids: Uint32Array) => {
    const rows = new Float32Array(ids.length * config.width);
    await computer.compute(ids, rows);
    return { ids, rows };
  };
  // Two at a time: the device works on one while the host makes the next one's forest.
  const ahead: ReturnType<typeof compute>[] = [];
  try {
    for (let from = 0; from < missing.length || ahead.length > 0; from += chunk) {
      signal?.throwIfAborted();
      if (from < missing.length) {
        const next = compute(missing.subarray(from, from + chunk));
        next.catch(() => {}); // told when its turn comes, and not before as nobody's
        ahead.push(next);
      }
      if (ahead.length < 2 && from + chunk < missing.length) continue;
      const { ids, rows } = await ahead[0];
      ahead.shift();
      await sink.write(ids, rows);
      done += ids.length;
      onProgress?.(done, total);
    }
  } finally {
    await Promise.allSettled(ahead); // whatever ended the work is what its caller gets
  }
}

/** Ids of a range that the sink does not have, in the order of their f-grams: by counting, from the last token to the first. */
function lexicographic(set: FgramSource, maxLength: number, { from, to }: { from: number; to: number }, sink: RowSink): Uint32Array {
  let ids = Uint32Array.from({ length: to - from }, (_, i) => from + i).filter((id) => sink.has?.(id) !== true);
  /** Per place and id the token and one more; 0 beyond the end, which comes first. */
  const digits = Array.from({ length: maxLength }, () => new Uint32Array(to - from));
  let largest = 0;
  for (const id of ids) {
    for (const [place, token] of set.tokensOf(id).entries()) {
      digits[place][id - from] = token + 1;
      largest = Math.max(largest, token + 1);
    }
  }
  for (const digit of digits.reverse()) {
    const places = new Uint32Array(largest + 2);
    for (const id of ids) places[digit[id - from] + 1]++;
    for (let i = 0; i <= largest; i++) places[i + 1] += places[i];
    const sorted = new Uint32Array(ids.length);
    for (const id of ids) sorted[places[digit[id - from]]++] = id;
    ids = sorted;
  }
  return ids;
}
