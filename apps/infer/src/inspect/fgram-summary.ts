/** What an f-gram set is made of, at a glance. */
import type { FgramSet } from '@sconelm/ngram-miner';
import type { FgramSummary, RunEvaluation } from './messages.js';

/** @param evaluation of the run whose set it is */
export function summarizeFgrams(set: FgramSet, evaluation: RunEvaluation | undefined): FgramSummary {
  const { size, maxLength, hash, manifest } = set;
  const heldout = evaluation && Object.fromEntries(Object.entries(evaluation.byLength).map(([length, { count }]) => [length, count]));
  return {
    size,
    maxLength,
    hash,
    minCount: manifest.minCount,
    lastCount: size === 0 ? 0 : set.countOf(size - 1),
    byLength: manifest.byLength,
    countByRank: ranksTo(size).map((rank) => ({ rank, count: set.countOf(rank - 1) })),
    ...(heldout && { heldout }),
  };
}

/** Eight to a decade, the first and the last among them. */
function ranksTo(size: number): number[] {
  if (size === 0) return [];
  const ranks = Array.from({ length: Math.ceil(Math.log10(size) * 8) }, (_, i) => Math.round(10 ** (i / 8)));
  return [...new Set([...ranks, size])].filter((rank) => rank <= size);
}
