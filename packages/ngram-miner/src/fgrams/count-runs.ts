/** Counts by id as runs of equal counts: they fall with the rank, so there are few. Sets that were extended rise again once: one more run. */

export interface CountRuns {
  /** [R] */
  readonly counts: Float64Array;
  /** [R] ascending, from 0 on: where each run starts. */
  readonly firsts: Uint32Array;
}

export function encodeRuns(counts: ArrayLike<number>): CountRuns {
  const firsts: number[] = [];
  for (let id = 0; id < counts.length; id++) if (id === 0 || counts[id] !== counts[id - 1]) firsts.push(id);
  return { counts: Float64Array.from(firsts, (first) => counts[first]), firsts: Uint32Array.from(firsts) };
}

export function countAt({ counts, firsts }: CountRuns, id: number): number {
  let low = 0;
  let high = firsts.length;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (firsts[middle] <= id) low = middle;
    else high = middle;
  }
  return counts[low];
}
