/**
 * The longest f-gram that ends at each token, one token at a time. The state is the node of every suffix that is in the set: the set is closed
 * under prefixes and suffixes, so a token extends each by one look-up, none waits for another, and the first that fails is the end. (SCONE, Alg. 1)
 */
import type { SlotTable } from './slot-table.js';

export interface MatcherLimits {
  /** K. */
  readonly maxLength: number;
  readonly vocabSize: number;
  /** The token that opens a document: no match reaches back over it. */
  readonly boundary: number;
}

export class Matcher {
  readonly #table: SlotTable;
  readonly #limits: MatcherLimits;
  /** [K] nodes of the suffixes of length 1, 2, ... that end at the last token; the first `#depth` are valid. */
  readonly #nodes: Uint32Array;
  #depth = 0;

  constructor(table: SlotTable, limits: MatcherLimits) {
    this.#table = table;
    this.#limits = limits;
    this.#nodes = new Uint32Array(limits.maxLength);
  }

  /** Length of the current match; 1 where none. */
  get length(): number {
    return Math.max(1, this.#depth);
  }

  /** A token outside the vocabulary is in no f-gram. @returns the id of the longest f-gram that ends with `token`, −1 where none */
  push(token: number): number {
    const { maxLength, vocabSize, boundary } = this.#limits;
    if (token >= vocabSize || token < 0) {
      this.#depth = 0;
      return -1;
    }
    const limit = token === boundary ? 0 : Math.min(this.#depth, maxLength - 1);
    this.#depth = this.#table.advance(this.#nodes, limit, token);
    return this.#depth === 1 ? -1 : this.#nodes[this.#depth - 1] - vocabSize;
  }

  /** The f-gram of `length` tokens that ends at the last token; −1 where none. */
  idOfLength(length: number): number {
    return length >= 2 && length <= this.#depth ? this.#nodes[length - 1] - this.#limits.vocabSize : -1;
  }

  /** Forgets what came before. */
  reset(): void {
    this.#depth = 0;
  }

  /** The state: at most K integers. */
  snapshot(): Uint32Array {
    return this.#nodes.slice(0, this.#depth);
  }

  /** @param snapshot of a matcher of the same set */
  restore(snapshot: Uint32Array): void {
    this.#nodes.set(snapshot);
    this.#depth = snapshot.length;
  }

  /** Another matcher in the same state. */
  fork(): Matcher {
    const other = new Matcher(this.#table, this.#limits);
    other.restore(this.snapshot());
    return other;
  }
}
