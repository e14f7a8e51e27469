/** From counted n-grams to the set. They come in lexicographic order, so ranking is a stable counting sort by count and length: two passes over the records. */
import type { RankedFgrams } from '../fgrams/ranked.js';
import { eachRecord, type RecordFile, type RecordForm } from './records.js';

export interface RankOptions {
  readonly maxLength: number;
  readonly vocabSize: number;
  readonly boundary: number;
  /** S. */
  readonly maxFgrams: number;
}

/** Counts below this have their cells in a table. */
const DENSE = 1 << 12;

/** A number for every (count, length). */
class CellsByCount {
  /** [DENSE, 8] */
  readonly #dense = new Float64Array(DENSE * 8);
  readonly #sparse = new Map<number, Float64Array>();

  /** By length; a new count starts with zeros. */
  #cellsOf(count: number): Float64Array {
    let cells = this.#sparse.get(count);
    if (cells === undefined) {
      cells = new Float64Array(8);
      this.#sparse.set(count, cells);
    }
    return cells;
  }

  /** @returns the number before one was added */
  increment(count: number, length: number): number {
    return count < DENSE ? this.#dense[(count << 3) + length - 1]++ : this.#cellsOf(count)[length - 1]++;
  }

  /** Numbers become how many come before: larger counts, and lower lengths of the same. */
  accumulate(): { readonly total: number; readonly largest: number } {
    let total = 0;
    let largest = 0;
    const pass = (count: number, cells: Float64Array, first = 0) => {
      for (let cell = first; cell < first + 8; cell++) {
        const own = cells[cell];
        if (own > 0) largest = Math.max(largest, count);
        cells[cell] = total;
        total += own;
      }
    };
    for (const count of [...this.#sparse.keys()].sort((a, b) => b - a)) pass(count, this.#cellsOf(count));
    for (let count = DENSE - 1; count >= 0; count--) pass(count, this.#dense, count * 8);
    return { total, largest };
  }
}

/** @throws {MinerError} MINE_PARTIAL */
export async function rankRecords(files: readonly RecordFile[], form: RecordForm, options: RankOptions): Promise<RankedFgrams> {
  const { maxLength, vocabSize, boundary, maxFgrams } = options;
  const cells = new CellsByCount();
  await eachRecord(files, form, (length, _, count) => {
    if (length > 1) cells.increment(count, length);
  });
  const { total, largest } = cells.accumulate();
  const size = Math.min(total, maxFgrams);
  const counts = largest < 2 ** 32 ? new Uint32Array(size) : new Float64Array(size);
  const parents = new Uint32Array(size);
  const tokens = form.tokenBytes === 2 ? new Uint16Array(size) : new Uint32Array(size);
  // Of each length, the node of the n-gram that was met last; what extends it comes right after it. A prefix ranks first, so those within S have theirs.
  const nodes = new Float64Array(maxLength + 1);
  await eachRecord(files, form, (length, token, count) => {
    if (length === 1) {
      nodes[1] = token;
      return;
    }
    const rank = cells.increment(count, length);
    if (rank >= size) return;
    parents[rank] = nodes[length - 1];
    tokens[rank] = token;
    counts[rank] = count;
    nodes[length] = vocabSize + rank;
  });
  return { size, maxLength, vocabSize, boundary, parents, tokens, counts };
}
