/** What was loaded so far, and what the whole table would have been. */
import { Figures } from '../components/figures.js';
import { formatBytes, formatCount, formatMs } from '../components/format.js';
import type { State } from './session.js';

export function Counter({ state: { manifest, traffic, times } }: { readonly state: State }) {
  if (traffic === undefined) return null;
  const { network, cached, rows } = traffic;
  const { fgrams } = manifest ?? {};
  const between = times.slice(1).sort((a, b) => a - b);
  return (
    <Figures
      figures={[
        { name: 'loaded', value: formatBytes(network + (rows?.bytes ?? 0)) },
        rows && { name: 'of it rows', value: formatBytes(rows.bytes) },
        fgrams && { name: 'the whole table', value: formatBytes(fgrams.rows * fgrams.rowBytes) },
        cached > 0 ? { name: 'from this browser’s cache', value: formatBytes(cached) } : undefined,
        rows && { name: 'requests for rows', value: formatCount(rows.requests) },
        rows && rows.reads > 0 ? { name: 'a look-up', value: formatMs(rows.readMs / rows.reads) } : undefined,
        between.length > 0 ? { name: 'a token', value: formatMs(between[between.length >> 1]) } : undefined,
      ]}
    />
  );
}
