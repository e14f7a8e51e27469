/** From tokens to the published f-gram set, and back. */
import { MinerError } from '../errors.js';
import type { FgramSet } from '../fgrams/fgram-set.js';
import type { RankedFgrams } from '../fgrams/ranked.js';
import { openFgrams, publishFgrams } from '../fgrams-files.js';
import { type CountedFgram, compareFgrams, countFgrams } from './count.js';

export interface MineOptions {
  /** Longest f-gram, K: 2..8. */
  readonly maxLength: number;
  readonly minCount: number;
  /** S: the most frequent ones that are kept. */
  readonly maxFgrams: number;
  readonly vocabSize: number;
  /** The token that opens a document. */
  readonly boundary: number;
  /** Where fgrams.bin and fgrams.json are published. */
  readonly directory: string;
  readonly onProgress?: (length: number) => void;
}

/** Mines and publishes the set. @throws {MinerError | ArtifactError} */
export async function mine(tokens: ArrayLike<number>, options: MineOptions): Promise<FgramSet> {
  const { maxLength, maxFgrams, directory } = options;
  if (maxLength < 2 || maxLength > 8)
    throw new MinerError(
      'MINE_OPTION',
      `f-grams of up to ${maxLength} tokens are not supported`,
      'Choose a longest f-gram of 2 to 8 tokens.',
    );
  const fgrams = countFgrams(tokens, options).sort(compareFgrams).slice(0, maxFgrams);
  await publishFgrams(directory, rankedFgrams(fgrams, options), { minCount: options.minCount });
  return openFgrams(directory);
}

/** @param fgrams in order of rank */
export function rankedFgrams(
  fgrams: readonly CountedFgram[],
  { maxLength, vocabSize, boundary }: Pick<RankedFgrams, 'maxLength' | 'vocabSize' | 'boundary'>,
): RankedFgrams {
  const nodes = new Map<string, number>();
  const parents = fgrams.map(({ tokens }, id) => {
    nodes.set(tokens.join(), vocabSize + id);
    const prefix = tokens.slice(0, -1);
    return prefix.length === 1 ? prefix[0] : (nodes.get(prefix.join()) ?? -1);
  });
  return {
    size: fgrams.length,
    maxLength,
    vocabSize,
    boundary,
    parents: Uint32Array.from(parents),
    tokens: Uint32Array.from(fgrams, ({ tokens }) => tokens[tokens.length - 1]),
    counts: Float64Array.from(fgrams, ({ count }) => count),
  };
}
