/** What was done about rows that could not be had, counted and told. */
import type { Progress } from '@sconelm/cli-kit';
import type { RowStore } from '@sconelm/offload-store';

export interface Damage {
  /** Positions whose token's own embedding took the row's place. */
  readonly fallbackRows: number;
  /** Rows that the f-gram model computed again. */
  readonly recomputedRows: number;
}

/** Tells it on stderr if there was any. */
export function reportDamage({ metrics }: RowStore, progress: Progress): Damage {
  const { fallbacks, recomputed } = metrics;
  const rows = (count: number) => `${count.toLocaleString('en')} ${count === 1 ? 'row' : 'rows'} could not be had`;
  if (fallbacks > 0) progress.note(`${rows(fallbacks)}: tokens have their own embeddings there`);
  if (recomputed > 0) progress.note(`${rows(recomputed)}: computed again by the f-gram model`);
  return { fallbackRows: fallbacks, recomputedRows: recomputed };
}
