/** What was loaded so far, and what the whole table would have been. */
import { formatBytes, formatCount, formatMs } from '../components/format.js';
import type { State } from './session.js';

export function Counter({ state: { manifest, traffic, times, adapter } }: { readonly state: State }) {
  if (traffic === undefined) return null;
  const { network, cached, rows } = traffic;
  const { fgrams } = manifest ?? {};
  const between = times.slice(1).sort((a, b) => a - b);
  return (
    <dl class="figures">
      <Figure name="loaded" value={formatBytes(network + (rows?.bytes ?? 0))} />
      {rows !== undefined && <Figure name="of it rows" value={formatBytes(rows.bytes)} />}
      {fgrams !== undefined && <Figure name="the whole table" value={formatBytes(fgrams.rows * fgrams.rowBytes)} />}
      {cached > 0 && <Figure name="from this browser’s cache" value={formatBytes(cached)} />}
      {rows !== undefined && <Figure name="requests for rows" value={formatCount(rows.requests)} />}
      {rows !== undefined && rows.reads > 0 && <Figure name="a look-up" value={formatMs(rows.readMs / rows.reads)} />}
      {between.length > 0 && <Figure name="a token" value={formatMs(between[between.length >> 1])} />}
      {adapter !== undefined && <Figure name="on" value={adapter} />}
    </dl>
  );
}

function Figure({ name, value }: { readonly name: string; readonly value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}
