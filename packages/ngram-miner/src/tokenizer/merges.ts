/** Byte-pair encoding of one piece: of all pairs of neighbours that have a merge, the one of lowest rank is joined, the leftmost first. */

import { PairTable } from './pair-table.js';

const NONE = 0x7fffffff;

/** Pieces up to here are scanned for their best pair; longer ones keep their pairs in a heap, or a word of 1 MB would take hours. */
const MAX_SCANNED = 128;

export class Merges {
  /** Rank of each pair that has a merge. */
  readonly #ranksOfPairs: PairTable;
  /** Id that a merge makes, by rank. */
  readonly #joined: Int32Array;
  readonly #ids = new Int32Array(MAX_SCANNED);
  readonly #ranks = new Int32Array(MAX_SCANNED);

  /** @param pairs left, right and joined id of each merge, by rank; of equal pairs the last one counts */
  constructor(pairs: Int32Array) {
    const count = pairs.length / 3;
    this.#ranksOfPairs = new PairTable(count);
    this.#joined = new Int32Array(count);
    for (let rank = 0; rank < count; rank++) {
      this.#ranksOfPairs.set(pairs[3 * rank], pairs[3 * rank + 1], rank);
      this.#joined[rank] = pairs[3 * rank + 2];
    }
  }

  #rank(left: number, right: number): number {
    const rank = this.#ranksOfPairs.get(left, right);
    return rank === -1 ? NONE : rank;
  }

  /** Writes the ids of a piece to `into` at `to`, where there is room for as many as it has bytes. @returns where they end */
  encode(bytes: Uint8Array, at: number, end: number, byteIds: Int32Array, into: Uint32Array, to: number): number {
    if (end - at > MAX_SCANNED) return this.#encodeLong(bytes, at, end, byteIds, into, to);
    const ids = this.#ids;
    const ranks = this.#ranks;
    let count = end - at;
    for (let i = 0; i < count; i++) ids[i] = byteIds[bytes[at + i]];
    for (let i = 0; i + 1 < count; i++) ranks[i] = this.#rank(ids[i], ids[i + 1]);
    while (count > 1) {
      let best = 0;
      for (let i = 1; i + 1 < count; i++) if (ranks[i] < ranks[best]) best = i;
      const rank = ranks[best];
      if (rank === NONE) break;
      ids[best] = this.#joined[rank];
      count--;
      for (let i = best + 1; i < count; i++) {
        ids[i] = ids[i + 1];
        ranks[i] = ranks[i + 1];
      }
      if (best > 0) ranks[best - 1] = this.#rank(ids[best - 1], ids[best]);
      if (best + 1 < count) ranks[best] = this.#rank(ids[best], ids[best + 1]);
    }
    for (let i = 0; i < count; i++) into[to + i] = ids[i];
    return to + count;
  }

  /** O(n log n): a linked list of ids and a heap of pairs, ordered by rank and place; pairs that are gone are recognised when they come up. */
  #encodeLong(bytes: Uint8Array, at: number, end: number, byteIds: Int32Array, into: Uint32Array, to: number): number {
    const count = end - at;
    const ids = new Int32Array(count);
    const next = new Int32Array(count);
    const previous = new Int32Array(count);
    for (let i = 0; i < count; i++) {
      ids[i] = byteIds[bytes[at + i]];
      next[i] = i + 1;
      previous[i] = i - 1;
    }
    const rankAt = (i: number): number => (ids[i] === -1 || next[i] === count ? NONE : this.#rank(ids[i], ids[next[i]]));
    const heap = new Heap(count);
    for (let i = 0; i + 1 < count; i++) {
      const rank = rankAt(i);
      if (rank !== NONE) heap.push(rank * count + i);
    }
    while (heap.size > 0) {
      const key = heap.pop();
      const i = key % count;
      const rank = (key - i) / count;
      if (rankAt(i) !== rank) continue;
      ids[i] = this.#joined[rank];
      const gone = next[i];
      ids[gone] = -1;
      next[i] = next[gone];
      if (next[i] < count) previous[next[i]] = i;
      const after = rankAt(i);
      if (after !== NONE) heap.push(after * count + i);
      if (i === 0) continue;
      const before = rankAt(previous[i]);
      if (before !== NONE) heap.push(before * count + previous[i]);
    }
    let out = to;
    for (let i = 0; i < count; i = next[i]) into[out++] = ids[i];
    return out;
  }
}

/** A binary heap of numbers, the smallest first. */
class Heap {
  size = 0;
  #keys: Float64Array;

  constructor(capacity: number) {
    this.#keys = new Float64Array(capacity);
  }

  push(key: number): void {
    if (this.size === this.#keys.length) {
      const grown = new Float64Array(this.size * 2);
      grown.set(this.#keys);
      this.#keys = grown;
    }
    const keys = this.#keys;
    let i = this.size++;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (keys[parent] <= key) break;
      keys[i] = keys[parent];
      i = parent;
    }
    keys[i] = key;
  }

  pop(): number {
    const keys = this.#keys;
    const top = keys[0];
    const key = keys[--this.size];
    let i = 0;
    for (let child = 1; child < this.size; child = 2 * i + 1) {
      if (child + 1 < this.size && keys[child + 1] < keys[child]) child++;
      if (keys[child] >= key) break;
      keys[i] = keys[child];
      i = child;
    }
    keys[i] = key;
    return top;
  }
}
