/** The store: where rows come from, how long reads take, how many rows were compared with their checksums. */
import { useState } from 'preact/hooks';
import type { Status } from '../../src/inspect/messages.js';
import { Bars } from '../components/bars.js';
import { Figures } from '../components/figures.js';
import { formatBytes, formatCompact, formatCount, formatMs, formatShare } from '../components/format.js';
import { Problem } from '../components/shell.js';
import type { PageProps } from './app.js';
import { usePoll } from './use-poll.js';

export function StorePage({ api, status, active }: PageProps) {
  const { value, error } = usePoll(api.status, active, 1000, [api]);
  const store = (value ?? status).store;
  return (
    <>
      <h1>Store</h1>
      <Problem error={error} />
      {store === undefined ? (
        <p>This model has no store: it looks nothing up.</p>
      ) : (
        <>
          <Numbers store={store} />
          <Verification api={api} store={store} />
        </>
      )}
    </>
  );
}

type Store = NonNullable<Status['store']>;

function Numbers({ store: { scheme, rows, width, dtype, rowBytes, metrics } }: { readonly store: Store }) {
  const { hotHits, cacheHits, distinctRows, recomputed, fallbacks, latency, backend } = metrics;
  const tiers = [
    { label: 'memory', value: hotHits },
    { label: 'cache', value: cacheHits },
    { label: scheme, value: distinctRows - cacheHits - recomputed - fallbacks },
    ...(recomputed > 0 ? [{ label: 'computed again', value: recomputed }] : []),
    ...(fallbacks > 0 ? [{ label: 'lost', value: fallbacks }] : []),
  ];
  const total = tiers.reduce((sum, { value }) => sum + value, 0) || 1;
  return (
    <>
      <Figures
        figures={[
          { name: 'rows', value: formatCount(rows) },
          { name: `a row, ${width} × ${dtype}`, value: formatBytes(rowBytes) },
          { name: `all, on ${scheme}`, value: formatBytes(rows * rowBytes) },
          { name: 'rows in memory', value: formatCount(metrics.hotRows) },
          { name: 'reads', value: formatCount(metrics.reads) },
          { name: 'rows asked for', value: formatCount(metrics.rows) },
          { name: 'a read, mean', value: metrics.reads === 0 ? '–' : formatMs((1000 * metrics.seconds) / metrics.reads) },
          { name: 'failed reads', value: formatCount(metrics.failed) },
        ]}
      />
      <div class="columns">
        <div>
          <Bars
            caption="Rows by the tier that had them"
            head={['tier', 'rows']}
            bars={tiers.map(({ label, value }) => ({ label, value, shown: `${formatCount(value)} · ${formatShare(value / total)}` }))}
          />
          {Object.keys(backend).length > 0 && (
            <Bars
              caption="What the medium has counted"
              head={['of the medium', '']}
              bars={Object.entries(backend).map(([label, value]) => ({ label, value: 0, shown: formatCompact(value) }))}
            />
          )}
        </div>
        <Latency counts={latency.counts} />
      </div>
    </>
  );
}

/** @param counts by bucket: bucket i took less than 2^i microseconds */
function Latency({ counts }: { readonly counts: readonly number[] }) {
  const used = counts.flatMap((count, i) => (count > 0 ? [i] : []));
  if (used.length === 0) return <p class="note">No reads yet: write or score something, and look again.</p>;
  const buckets = counts.slice(used[0], used[used.length - 1] + 1).map((count, i) => ({ count, end: 2 ** (used[0] + i) / 1000 }));
  return (
    <Bars
      caption="Reads by how long they took"
      head={['less than', 'reads']}
      bars={buckets.map(({ count, end }) => ({ label: formatMs(end), value: count, shown: formatCount(count) }))}
    />
  );
}

function Verification({ api, store: { rows, isFilling, metrics, sample } }: { readonly api: PageProps['api']; readonly store: Store }) {
  const [state, setState] = useState<'idle' | 'running' | 'done'>('idle');
  const [damage, setDamage] = useState<string | null>(null);
  const [error, setError] = useState<unknown>();
  const start = async () => {
    setState('running');
    setError(undefined);
    try {
      setDamage((await api.verify()).damage);
    } catch (failure) {
      setError(failure);
    }
    setState('done');
  };
  return (
    <section aria-label="Verified rows">
      <h2>Verified rows</h2>
      <p role="status">
        {isFilling
          ? 'The store is being filled: its rows have no checksums yet.'
          : `${formatCount(metrics.verifiedRows)} of ${formatCount(rows)} rows were compared with their checksums and matched${damage === null ? '.' : `; ${damage}.`}`}
      </p>
      {sample !== undefined && (
        <p>
          {formatCount(sample.checked)} rows were computed again by the f-gram model; {formatCount(sample.mismatches)} of them were others.
        </p>
      )}
      <progress value={metrics.verifiedRows} max={rows} aria-label="Verified rows" />{' '}
      <button type="button" disabled={isFilling || state === 'running'} onClick={start}>
        {state === 'running' ? 'Comparing…' : 'Compare all'}
      </button>
      <Problem error={error} />
    </section>
  );
}
