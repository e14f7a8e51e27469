/** Byte-pair encoding of one piece: of all pairs of neighbours that have a merge, the one of lowest rank is joined, the leftmost first. */
import { Heap } from './heap.js';
import { PairTable } from './pair-table.js';
import { RankQueue } from './rank-queue.js';

/** The rank of pairs that have no merge: above all others. */
const NONE = 0x7fffffff;

/** Pieces up to here are scanned for their best pair; longer ones keep their pairs in a queue, or a word of 1 MB would take hours. */
const MAX_SCANNED = 192;

export class Merges {
  /** Rank of each pair that has a merge. */
  readonly #rankOf: PairTable;
  /** Id that a merge makes, by rank. */
  readonly #joined: Int32Array;
  readonly #byteIds: Int32Array;
  readonly #ids = new Int32Array(MAX_SCANNED);
  readonly #ranks = new Int32Array(MAX_SCANNED);
  #queue: RankQueue | undefined;

  /**
   * @param pairs left, right and joined id of each merge, by rank; of equal pairs the last one counts
   * @param byteIds id of each byte
   */
  constructor(pairs: Int32Array, byteIds: Int32Array) {
    const count = pairs.length / 3;
    this.#rankOf = new PairTable(count);
    this.#joined = new Int32Array(count);
    this.#byteIds = byteIds;
    for (let rank = 0; rank < count; rank++) {
      this.#rankOf.set(pairs[3 * rank], pairs[3 * rank + 1], rank);
      this.#joined[rank] = pairs[3 * rank + 2];
    }
  }

  #rank(left: number, right: number): number {
    const rank = this.#rankOf.get(left, right);
    return rank === -1 ? NONE : rank;
  }

  /** Writes the ids of a piece to `into` at `to`, where there is room for as many as it has bytes. @returns where they end */
  encode(bytes: Uint8Array, at: number, end: number, into: Uint32Array, to: number): number {
    if (end - at > MAX_SCANNED) return this.#encodeLong(bytes, at, end, into, to);
    const ids = this.#ids;
    const ranks = this.#ranks;
    let count = end - at;
    for (let i = 0; i < count; i++) ids[i] = this.#byteIds[bytes[at + i]];
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

  /**
   * The same in O(n log n). Ids form a linked list; places are joined rank by rank. A merge makes pairs of higher rank than its own, which
   * wait in the queue. Where a vocabulary was put together otherwise, they are urgent: they come before what is left of the rank.
   */
  #encodeLong(bytes: Uint8Array, at: number, end: number, into: Uint32Array, to: number): number {
    const count = end - at;
    const ids = new Int32Array(count);
    const next = new Int32Array(count);
    const previous = new Int32Array(count);
    /** Rank of the pair that starts at a place. */
    const ranks = new Int32Array(count).fill(NONE);
    this.#queue ??= new RankQueue(this.#joined.length);
    const queue = this.#queue;
    const urgent = new Heap<number>((a, b) => a < b);
    let current = -1;

    const meet = (place: number): void => {
      const rank = next[place] === count ? NONE : this.#rank(ids[place], ids[next[place]]);
      ranks[place] = rank;
      if (rank === NONE) return;
      if (rank > current) queue.push(rank, place);
      else urgent.push(rank * count + place);
    };
    const join = (place: number, rank: number): void => {
      // The pair that was queued may be gone.
      if (ranks[place] !== rank) return;
      ids[place] = this.#joined[rank];
      const gone = next[place];
      ranks[gone] = NONE;
      next[place] = next[gone];
      if (next[place] < count) previous[next[place]] = place;
      meet(place);
      if (place > 0) meet(previous[place]);
    };
    const joinUrgent = (before: number): void => {
      for (let key = urgent.top; key !== undefined && key < before; key = urgent.top) {
        urgent.pop();
        join(key % count, Math.floor(key / count));
      }
    };

    for (let i = 0; i < count; i++) {
      ids[i] = this.#byteIds[bytes[at + i]];
      next[i] = i + 1;
      previous[i] = i - 1;
    }
    for (let i = 0; i + 1 < count; i++) meet(i);
    for (let rank = queue.lowest(); rank !== undefined; rank = queue.lowest()) {
      current = rank;
      for (const place of queue.take(rank)) {
        joinUrgent(rank * count + place);
        join(place, rank);
      }
      joinUrgent(Number.POSITIVE_INFINITY);
    }
    let out = to;
    for (let i = 0; i < count; i = next[i]) into[out++] = ids[i];
    return out;
  }
}
