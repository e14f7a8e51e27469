/** How many tokens were looked up, by where their rows were and by the length of their f-grams. */
export class LookUpCounts {
  /** By tier, then by length. */
  readonly #counts = new Map<string, number[]>();

  /** @param tier of the store, `lost`, or `none` for a token at which no f-gram ends, whose length is 1 */
  add(tier: string, length: number): void {
    let counts = this.#counts.get(tier);
    if (counts === undefined) {
      counts = [];
      this.#counts.set(tier, counts);
    }
    counts[length] = (counts[length] ?? 0) + 1;
  }

  *[Symbol.iterator](): Generator<{ readonly tier: string; readonly length: number; readonly count: number }> {
    for (const [tier, counts] of this.#counts) {
      for (const [length, count] of counts.entries()) if (count !== undefined) yield { tier, length, count };
    }
  }
}
