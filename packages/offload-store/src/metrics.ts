/** What a store has been asked and what it read, counted since it was opened; as numbers, and as text for Prometheus. */
export interface StoreMetrics {
  /** Calls of `read`. */
  readonly reads: number;
  /** Rows asked for, repeats included. */
  readonly rows: number;
  /** Of those, the hot ones. */
  readonly hotHits: number;
  /** The others, repeats within a call once. */
  readonly distinctRows: number;
  /** Of those, the ones found in the cache. */
  readonly cacheHits: number;
  /** Bytes of the distinct rows. */
  readonly bytes: number;
  /** Calls that were answered by a promise rather than at once. */
  readonly promised: number;
  /** Calls that failed, aborted ones included. */
  readonly failed: number;
  /** Rows that were given as zeros because they could not be had. */
  readonly fallbacks: number;
  /** Rows that were computed again because they could not be had. */
  readonly recomputed: number;
  /** Seconds from call to answer, summed over the calls (those that overlap count each). */
  readonly seconds: number;
  /** How long calls took. */
  readonly latency: LatencyHistogram;
  /** Rows in memory now. */
  readonly hotRows: number;
  /** Rows of the blocks that were compared with their checksums and matched, each once. */
  readonly verifiedRows: number;
  /** What the backend has counted itself. */
  readonly backend: Readonly<Record<string, number>>;
}

/** Calls by their duration: `counts[i]` took less than `2^i` microseconds, and not less than half of that; the last has no end. */
export interface LatencyHistogram {
  readonly counts: readonly number[];
}

const BUCKETS = 28;

/** Counters that a store adds to. */
export class Counts {
  reads = 0;
  rows = 0;
  distinctRows = 0;
  hotHits = 0;
  bytes = 0;
  promised = 0;
  failed = 0;
  fallbacks = 0;
  #seconds = 0;
  readonly #latency = new Float64Array(BUCKETS);

  /** A call ends that started at `started` of `performance.now()`. */
  time(started: number): void {
    const ms = performance.now() - started;
    this.#seconds += ms / 1000;
    const bucket = 32 - Math.clz32(ms * 1000);
    this.#latency[Math.min(bucket, BUCKETS - 1)]! += 1;
  }

  all(): Omit<StoreMetrics, 'hotRows' | 'verifiedRows' | 'cacheHits' | 'recomputed' | 'backend'> {
    const { reads, rows, distinctRows, hotHits, bytes, promised, failed, fallbacks } = this;
    const latency = { counts: [...this.#latency] };
    return { reads, rows, distinctRows, hotHits, bytes, promised, failed, fallbacks, seconds: this.#seconds, latency };
  }
}

/** The duration, in microseconds, that a share `quantile` of the calls did not pass: the upper end of its bucket; 0 if there were no calls. */
export function latencyQuantile({ counts }: LatencyHistogram, quantile: number): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  let seen = 0;
  for (const [bucket, count] of counts.entries()) {
    seen += count;
    if (seen > 0 && seen >= quantile * total) return 2 ** bucket;
  }
  return 0;
}

/** Metrics in Prometheus' text format, version 0.0.4. @param labels put on every line */
export function formatPrometheus(metrics: StoreMetrics, labels: Readonly<Record<string, string>> = {}): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${value.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`))}"`,
  );
  const withLabels = (...more: string[]) => (pairs.length + more.length === 0 ? '' : `{${[...pairs, ...more].join(',')}}`);
  const lines: string[] = [];
  const write = (name: string, type: 'counter' | 'gauge', value: number, ...more: string[]) => {
    lines.push(`# TYPE scone_store_${name} ${type}`, `scone_store_${name}${withLabels(...more)} ${value}`);
  };
  write('reads_total', 'counter', metrics.reads);
  write('rows_total', 'counter', metrics.rows);
  write('distinct_rows_total', 'counter', metrics.distinctRows);
  write('hot_hits_total', 'counter', metrics.hotHits);
  write('cache_hits_total', 'counter', metrics.cacheHits);
  write('read_bytes_total', 'counter', metrics.bytes);
  write('promised_reads_total', 'counter', metrics.promised);
  write('failed_reads_total', 'counter', metrics.failed);
  write('fallback_rows_total', 'counter', metrics.fallbacks);
  write('recomputed_rows_total', 'counter', metrics.recomputed);
  write('hot_rows', 'gauge', metrics.hotRows);
  write('verified_rows', 'gauge', metrics.verifiedRows);
  if (Object.keys(metrics.backend).length > 0) lines.push('# TYPE scone_store_backend gauge');
  for (const [name, value] of Object.entries(metrics.backend)) lines.push(`scone_store_backend${withLabels(`counter="${name}"`)} ${value}`);
  lines.push('# TYPE scone_store_read_seconds histogram');
  let below = 0;
  metrics.latency.counts.forEach((count, bucket) => {
    below += count;
    const end = bucket === metrics.latency.counts.length - 1 ? '+Inf' : String(2 ** bucket / 1e6);
    lines.push(`scone_store_read_seconds_bucket${withLabels(`le="${end}"`)} ${below}`);
  });
  lines.push(`scone_store_read_seconds_sum${withLabels()} ${metrics.seconds}`, `scone_store_read_seconds_count${withLabels()} ${below}`);
  return `${lines.join('\n')}\n`;
}
