/** The f-gram set by counting in a Map: what the tests hold mining against, and a way to a set of a few tokens without files. */
import type { RankedFgrams } from '../fgrams/ranked.js';

export interface NaiveOptions {
  readonly maxLength: number;
  readonly minCount: number;
  readonly maxFgrams?: number;
  readonly vocabSize: number;
  readonly boundary: number;
}

/** @param shards tokens; no n-gram reaches from one to the next */
export function naiveFgrams(shards: readonly (readonly number[])[], options: NaiveOptions): RankedFgrams {
  const { maxLength, minCount, maxFgrams = Infinity, vocabSize, boundary } = options;
  const counts = new Map<string, { tokens: readonly number[]; count: number }>();
  for (const shard of shards) {
    for (let i = 0; i < shard.length; i++) {
      for (let n = 2; n <= maxLength && i + n <= shard.length && shard[i + n - 1] !== boundary; n++) {
        const tokens = shard.slice(i, i + n);
        const found = counts.get(tokens.join());
        if (found === undefined) counts.set(tokens.join(), { tokens, count: 1 });
        else found.count++;
      }
    }
  }
  const fgrams = [...counts.values()]
    .filter(({ count }) => count >= minCount)
    .sort((a, b) => b.count - a.count || a.tokens.length - b.tokens.length || compareTokens(a.tokens, b.tokens))
    .slice(0, maxFgrams);
  const ids = new Map(fgrams.map(({ tokens }, id) => [tokens.join(), id]));
  const parentOf = (prefix: readonly number[]) => (prefix.length === 1 ? prefix[0] : vocabSize + (ids.get(prefix.join()) ?? Number.NaN));
  return {
    size: fgrams.length,
    maxLength,
    vocabSize,
    boundary,
    parents: Uint32Array.from(fgrams, ({ tokens }) => parentOf(tokens.slice(0, -1))),
    tokens: Uint32Array.from(fgrams, ({ tokens }) => tokens[tokens.length - 1]),
    counts: Float64Array.from(fgrams, ({ count }) => count),
  };
}

const compareTokens = (a: readonly number[], b: readonly number[]): number => {
  const i = a.findIndex((token, at) => token !== b[at]);
  return a[i] - b[i];
};
