/** What a store has been asked and what it read, counted since it was opened. */
export interface StoreMetrics {
  /** Calls of `read`. */
  readonly reads: number;
  /** Rows asked for, repeats included. */
  readonly rows: number;
  /** Rows read from the backend: repeats within a call once. */
  readonly distinctRows: number;
  /** Of those, the ones that were in memory already. */
  readonly hotHits: number;
  /** Bytes of the others. */
  readonly bytes: number;
  /** Calls that were answered by a promise rather than at once. */
  readonly promised: number;
  /** Calls that failed, aborted ones included. */
  readonly failed: number;
  /** Seconds from call to answer, summed over the calls (those that overlap count each). */
  readonly seconds: number;
  /** Rows in memory now. */
  readonly hotRows: number;
  /** What the backend has counted itself. */
  readonly backend: Readonly<Record<string, number>>;
}

export type MetricCounts = { -readonly [name in Exclude<keyof StoreMetrics, 'hotRows' | 'backend'>]: number };

export const noMetrics = (): MetricCounts => ({
  reads: 0,
  rows: 0,
  distinctRows: 0,
  hotHits: 0,
  bytes: 0,
  promised: 0,
  failed: 0,
  seconds: 0,
});
