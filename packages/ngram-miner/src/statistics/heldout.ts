/**
 * How well a set fits text it was not mined from. One pass counts how often each f-gram is the longest match; since ids are ranks and suffixes
 * are members, that says of every length, and of every smaller set, how often something matches.
 */
import { z } from 'zod';
import type { FgramSet, Matcher } from '../fgrams/index.js';

export const heldoutStatisticsSchema = z.strictObject({
  /** Positions that were looked at. */
  tokens: z.int(),
  /** Share of positions where an f-gram ends. */
  hitRate: z.number(),
  /** Share of tokens inside of a longest match. */
  coverage: z.number(),
  /** Over all positions; 1 where nothing matches. */
  meanMatchLength: z.number(),
  /** F-grams that are the longest match somewhere. */
  usedFgrams: z.int(),
  /** Lengths 1 (nothing matches) to K. */
  byLength: z.array(
    z.strictObject({
      length: z.int(),
      /** Positions whose longest match has this length. */
      longest: z.int(),
      /** Share of positions where some f-gram of this length ends; 1 for length 1. */
      hitRate: z.number(),
    }),
  ),
  /** What smaller sets would give, that keep the first ids only. */
  growth: z.array(
    z.strictObject({
      fgrams: z.int(),
      hitRate: z.number(),
      meanMatchLength: z.number(),
      /** Share of positions where an f-gram of at least 2, 3, .. K tokens ends. */
      hitRates: z.array(z.number()),
    }),
  ),
});
export type HeldoutStatistics = z.infer<typeof heldoutStatisticsSchema>;

/** Counts matches in tokens that come in chunks. */
export class HeldoutCounter {
  readonly #set: FgramSet;
  readonly #matcher: Matcher;
  /** [S] positions where the f-gram is the longest match. */
  readonly #longest: Uint32Array;
  #tokens = 0;
  #covered = 0;
  /** Tokens since the last one that is inside of a match. */
  #uncovered = 0;

  constructor(set: FgramSet) {
    this.#set = set;
    this.#matcher = set.matcher();
    this.#longest = new Uint32Array(set.size);
  }

  add(chunk: ArrayLike<number>): void {
    for (let i = 0; i < chunk.length; i++) {
      const id = this.#matcher.push(chunk[i]);
      this.#uncovered++;
      if (id < 0) continue;
      this.#longest[id]++;
      this.#covered += Math.min(this.#uncovered, this.#matcher.length);
      this.#uncovered = 0;
    }
    this.#tokens += chunk.length;
  }

  result(): HeldoutStatistics {
    const { maxLength, size } = this.#set;
    const tokens = this.#tokens;
    const share = (positions: number) => (tokens === 0 ? 0 : positions / tokens);
    const sizes = stepsTo(size);
    const longest = new Array<number>(maxLength + 1).fill(0);
    // ending[n][j]: positions where an f-gram of n tokens ends whose id is at least sizes[j − 1] and below sizes[j].
    const ending = Array.from({ length: maxLength + 1 }, () => new Array<number>(sizes.length).fill(0));
    let usedFgrams = 0;
    for (let id = 0; id < size; id++) {
      const positions = this.#longest[id];
      if (positions === 0) continue;
      usedFgrams++;
      const own = this.#set.tokensOf(id);
      longest[own.length] += positions;
      for (let n = own.length, suffix = id; ; suffix = this.#set.idOf(own.subarray(own.length - n))) {
        ending[n][sizes.findIndex((limit) => suffix < limit)] += positions;
        if (--n < 2) break;
      }
    }
    longest[1] = tokens - longest.reduce((sum, positions) => sum + positions, 0);
    const growth = sizes.map((fgrams, j) => {
      const hitRates = ending.slice(2).map((counts) => share(counts.slice(0, j + 1).reduce((sum, positions) => sum + positions, 0)));
      return { fgrams, hitRate: hitRates[0], meanMatchLength: 1 + hitRates.reduce((sum, rate) => sum + rate, 0), hitRates };
    });
    const whole = growth.at(-1) ?? { hitRate: 0, meanMatchLength: 1, hitRates: ending.slice(2).map(() => 0) };
    return {
      tokens,
      hitRate: whole.hitRate,
      coverage: share(this.#covered),
      meanMatchLength: whole.meanMatchLength,
      usedFgrams,
      byLength: longest.slice(1).map((positions, i) => ({
        length: i + 1,
        longest: positions,
        hitRate: i === 0 ? 1 : whole.hitRates[i - 1],
      })),
      growth,
    };
  }
}

/** 10, 30, 100, 300, .. below the size, then the size. */
function stepsTo(size: number): number[] {
  const steps = Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? 10 : 30) * 10 ** (i >> 1)).filter((step) => step < size);
  return size === 0 ? [] : [...steps, size];
}
