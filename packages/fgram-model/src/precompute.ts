/** Every row of the f-gram set, residual rows added, computed once: f-grams in lexicographic order share prefixes, so each costs about one node. */
import type { Parameters } from '@sconelm/decoder';
import type { Device, Program, Tensor } from '@sconelm/tensor-webgpu';
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

/** Computes rows of an f-gram set, any of them; owns a program. */
export class RowComputer implements Disposable {
  readonly #set: FgramSource;
  readonly #config: FgramModelConfig;
  readonly #program: Program<{ [K in keyof ForestTensors]: Tensor }, { rows: Tensor }>;
  #turn: Promise<void> = Promise.resolve();

  constructor(device: Device, set: FgramSource, parameters: Parameters, config: FgramModelConfig) {
    this.#set = set;
    this.#config = config;
    this.#program = device.compile(
      (inputs: { [K in keyof ForestTensors]: Tensor }) => ({ outputs: { rows: fgramRows(inputs, parameters, config) } }),
      { batchInvariant: true },
    );
  }

  /**
   * Calls take turns, because a program's results last until its next run.
   * @param ids [n]; best in the f-grams' lexicographic order, so that neighbours share prefixes @param into [n, width], filled
   */
  compute(ids: Uint32Array, into: Float32Array): Promise<void> {
    const turn = this.#turn.then(() => this.#compute(ids, into));
    this.#turn = turn.catch(() => {}); // its caller gets the error; the next in line starts all the same
    return turn;
  }

  async #compute(ids: Uint32Array, into: Float32Array): Promise<void> {
    const { width, maxLength } = this.#config;
    const fgrams = Array.from(ids, (id) => this.#set.tokensOf(id));
    const lengths = fgrams.map((tokens) => tokens.length);
    const starts = [0];
    for (const length of lengths.slice(0, -1)) starts.push(starts[starts.length - 1] + length);
    const forest = buildForest({ tokens: fgrams.flatMap((tokens) => [...tokens]), starts, lengths, ids }, maxLength, 1024);
    const rows = (await this.#program.run(forestInputs(forest, this.#config)).rows.data()) as Float32Array;
    fgrams.forEach((_, i) => {
      into.set(rows.subarray(forest.last[i] * width, (forest.last[i] + 1) * width), i * width);
    });
  }

  [Symbol.dispose](): void {
    this.#program[Symbol.dispose]();
  }
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
  using computer = new RowComputer(device, set, parameters, config);
  for (let from = 0; from < missing.length; from += chunk) {
    signal?.throwIfAborted();
    const ids = Uint32Array.from(missing.slice(from, from + chunk), ({ id }) => id);
    const rows = new Float32Array(ids.length * config.width);
    await computer.compute(ids, rows);
    await sink.write(ids, rows);
    done += ids.length;
    onProgress?.(done, set.size);
  }
}
