/** What mining is asked for, and what it says it will take. */
import { availableParallelism, totalmem } from 'node:os';
import { MinerError } from '../errors.js';
import type { TokenCorpus } from '../tokens/corpus.js';
import { hasWasmThreads, type KernelName } from './kernel/kernel.js';

export interface CountOptions {
  /** Longest f-gram, K: 2..8. */
  readonly maxLength: number;
  readonly minCount: number;
  /** Threads; as many as the machine has cores unless given. */
  readonly workers?: number;
  /** What the process may take, all in all; 2 GiB, or half of a small machine's memory, unless given. */
  readonly memoryBytes?: number;
  /** What of it keys and scratch space may take; what the rest leaves unless given. */
  readonly workBytes?: number;
  /** `wasm` unless given. */
  readonly kernel?: KernelName;
  readonly signal?: AbortSignal;
  /** Called once the first tokens are counted, before the work begins. */
  readonly onPlan?: (plan: MiningPlan) => void;
  readonly onProgress?: (progress: MiningProgress) => void;
}

export interface MiningPlan {
  readonly tokens: number;
  readonly workers: number;
  readonly kernel: KernelName;
  /** How often the shards are read from here on. */
  readonly passes: number;
  /** Passes whose results an earlier run has left. */
  readonly finished: number;
  /** The most memory that the process will have taken while it counts. */
  readonly peakBytes: number;
  /** Disk that the unfinished work takes at most. */
  readonly diskBytes: number;
}

export interface MiningProgress {
  readonly stage: 'counting tokens' | 'counting n-grams' | 'ranking';
  /** Tokens. */
  readonly done: number;
  readonly total: number;
}

export interface CheckedOptions extends CountOptions {
  readonly workers: number;
  readonly memoryBytes: number;
  readonly kernel: KernelName;
}

const DEFAULT_MEMORY_BYTES = 2 ** 31;

/** @throws {MinerError} MINE_OPTION */
export function checkOptions(corpus: TokenCorpus, options: CountOptions): CheckedOptions {
  const expectInteger = (name: string, value: number, low: number, high: number) => {
    if (!Number.isInteger(value) || value < low || value > high)
      throw new MinerError(
        'MINE_OPTION',
        `${name} is ${value}, expected ${low} to ${high}`,
        `Choose a whole number from ${low} to ${high}.`,
      );
  };
  const workers = options.workers ?? availableParallelism();
  const memoryBytes = options.memoryBytes ?? Math.min(DEFAULT_MEMORY_BYTES, totalmem() / 2);
  const kernel = options.kernel ?? 'wasm';
  expectInteger('the longest f-gram', options.maxLength, 2, 8);
  expectInteger('the minimum count', options.minCount, 1, 2 ** 32 - 1);
  expectInteger('the number of workers', workers, 1, 256);
  expectInteger('the vocabulary', corpus.vocabSize, 1, 2 ** 28);
  if (kernel === 'wasm' && !hasWasmThreads()) {
    const remedy = "Choose the kernel 'typescript': it gives the same results, more slowly.";
    throw new MinerError('MINE_OPTION', 'this machine runs no WebAssembly with threads and SIMD', remedy);
  }
  return { ...options, workers, memoryBytes, kernel };
}
