/** Where things lie in the memory that the mining threads share; addresses in bytes. What is written often has cache lines of its own. */
import { DIGIT_BYTES } from './kernel/kernel.js';

/** What one thread writes. */
export interface WorkerRegions {
  /** f64 by token: how often its chunks have it after the prefix. */
  readonly counts: number;
  /** u32 by symbol, and one more: where its next key goes. */
  readonly places: number;
  /** u32 each: the prefix. */
  readonly prefix: number;
  readonly chunk: number;
  readonly digits: number;
  readonly output: number;
  readonly outputEnd: number;
  /** f64: tokens or keys it has done. */
  readonly progress: number;
}

export interface Layout {
  readonly bytes: number;
  /** u32 by token: its symbol. */
  readonly symbols: number;
  /** u32 by symbol: its token. */
  readonly tokens: number;
  /** u32 by symbol: where its bucket starts, and where the last one ends. */
  readonly starts: number;
  /** i32: the next task. */
  readonly nextTask: number;
  readonly workers: readonly WorkerRegions[];
  /** Room for scratch space and keys; it reaches to the end. */
  readonly work: number;
}

const LINE = 128;
const OUTPUT_BYTES = 1 << 17;
/** Tokens around a chunk that are looked at: K − 1 on either side. */
export const MARGIN_TOKENS = 8;

export interface LayoutOptions {
  readonly workers: number;
  readonly vocabSize: number;
  readonly chunkBytes: number;
  readonly workBytes: number;
}

export function layOut({ workers, vocabSize, chunkBytes, workBytes }: LayoutOptions): Layout {
  let next = LINE; // address 0 stays free: it is what forgotten settings point at
  const take = (bytes: number) => {
    const address = next;
    next = Math.ceil((next + bytes) / LINE) * LINE;
    return address;
  };
  const symbols = take(vocabSize * 4);
  const tokens = take(vocabSize * 4);
  const starts = take((vocabSize + 1) * 4);
  const nextTask = take(4);
  const regions = Array.from({ length: workers }, () => {
    const output = take(OUTPUT_BYTES);
    return {
      counts: take(vocabSize * 8),
      places: take((vocabSize + 1) * 4),
      prefix: take(MARGIN_TOKENS * 4),
      chunk: take(chunkBytes + 2 * MARGIN_TOKENS * 4),
      digits: take(DIGIT_BYTES),
      output,
      outputEnd: output + OUTPUT_BYTES,
      progress: take(8),
    };
  });
  return { symbols, tokens, starts, nextTask, workers: regions, work: next, bytes: next + Math.floor(workBytes / LINE) * LINE };
}
