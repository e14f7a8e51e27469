import { readFileSync } from 'node:fs';
import { formatPrometheus } from '@sconelm/offload-store';
import { expect, it } from 'vitest';
import { served } from '../testing/served.js';

it('the dashboard asks for metrics that there are', async () => {
  const { ask } = served();
  const latency = { counts: [1] };
  const zero = { reads: 0, rows: 0, distinctRows: 0, hotHits: 0, cacheHits: 0, bytes: 0, promised: 0, failed: 0, fallbacks: 0 };
  const store = formatPrometheus({ ...zero, recomputed: 0, seconds: 0, latency, hotRows: 0, verifiedRows: 0, backend: {} });
  const text = `${await (await ask('/metrics')).text()}${store}`;
  const file = readFileSync(new URL('../../dashboards/grafana.json', import.meta.url), 'utf8');
  const asked = new Set(file.match(/scone_[a-z_0-9]+/g));
  expect(asked.size).toBeGreaterThan(15);
  for (const name of asked) expect(text).toContain(`# TYPE ${name.replace(/_bucket$/, '')} `);
});
