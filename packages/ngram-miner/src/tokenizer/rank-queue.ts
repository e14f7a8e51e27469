/** Places by rank, as long as none is added at or below a rank that was taken: lists by rank, and a bit for each that is not empty. */
export class RankQueue {
  readonly #places: (number[] | undefined)[];
  readonly #occupied: Int32Array;
  /** No rank below 32 times this is occupied. */
  #word = 0;

  constructor(ranks: number) {
    this.#places = new Array(ranks).fill(undefined);
    this.#occupied = new Int32Array((ranks + 31) >> 5);
  }

  push(rank: number, place: number): void {
    const places = this.#places[rank];
    if (places !== undefined) {
      places.push(place);
      return;
    }
    this.#places[rank] = [place];
    this.#occupied[rank >> 5] |= 1 << (rank & 31);
  }

  /** The lowest rank that has places. Without one, the queue is ready to be used again. */
  lowest(): number | undefined {
    for (; this.#word < this.#occupied.length; this.#word++) {
      const bits = this.#occupied[this.#word];
      if (bits !== 0) return this.#word * 32 + 31 - Math.clz32(bits & -bits);
    }
    this.#word = 0;
    return undefined;
  }

  /** Takes the places of a rank away, from left to right. */
  take(rank: number): Int32Array {
    const places = new Int32Array(this.#places[rank] ?? []).sort();
    this.#places[rank] = undefined;
    this.#occupied[rank >> 5] &= ~(1 << (rank & 31));
    return places;
  }
}
