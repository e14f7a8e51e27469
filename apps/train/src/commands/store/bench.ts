/** `scone-train store bench`: how fast a store answers, as f-grams are asked for and all over. */
import { defineCommand, formatTable } from '@sconelm/cli-kit';
import { latencyQuantile, openStore } from '@sconelm/offload-store';
import { z } from 'zod';
import { backendOption, loadGivenBackends } from '../../backend-option.js';

const BATCHES = [1, 16, 256, 4096];

export const storeBenchCommand = defineCommand({
  name: 'store bench',
  positionals: ['store'],
  summary: 'how fast a store answers: microseconds a row for batches of 1 to 4096, Zipf and uniform ids',
  examples: ['scone-train store bench file:runs/scone/rows', 'scone-train store bench https://host/rows --seconds 1 --cache-rows 10000'],
  config: z.strictObject({
    store: z.string().describe('URL of a published store'),
    seconds: z.number().positive().default(0.5).describe('per line of the table'),
    hotRows: z.int().nonnegative().default(0).describe('rows kept in memory, the most frequent'),
    cacheRows: z.int().nonnegative().default(0).describe('rows kept in memory, those used last'),
    backend: backendOption,
  }),
  run: async ({ config, progress, signal, output }) => {
    await loadGivenBackends(config.backend);
    await using store = await openStore(config.store, { hotRows: config.hotRows, cacheRows: config.cacheRows });
    await store.warmed;
    const rows: { ids: string; batch: number; usPerRow: number; rowsPerSecond: number }[] = [];
    for (const [name, draw] of Object.entries(distributions(store.rows))) {
      for (const batch of BATCHES) {
        progress.note(`${name} ids, batches of ${batch}`);
        const ids = new Uint32Array(batch);
        const into = new Float32Array(batch * store.width);
        const times: number[] = [];
        for (const started = performance.now(); performance.now() - started < config.seconds * 1000; ) {
          signal.throwIfAborted();
          for (let i = 0; i < batch; i++) ids[i] = draw();
          const before = performance.now();
          await store.read(ids, into);
          times.push(performance.now() - before);
        }
        times.sort((a, b) => a - b);
        const usPerRow = (times[times.length >> 1] * 1000) / batch;
        rows.push({ ids: name, batch, usPerRow, rowsPerSecond: 1e6 / usPerRow });
      }
    }
    const { metrics } = store;
    const p99 = latencyQuantile(metrics.latency, 0.99);
    const table = [
      ['ids', 'batch', 'us a row (median)', 'rows/s'],
      ...rows.map((row) => [row.ids, String(row.batch), row.usPerRow.toFixed(2), Math.round(row.rowsPerSecond).toLocaleString('en')]),
    ];
    output({ store: config.store, rows, metrics }, `${formatTable(table)}99 of 100 reads took less than ${p99} us\n`);
  },
});

/** Ids as f-grams are met (Zipf's law over ranks, exponent 1) and all over. */
function distributions(rows: number): Readonly<Record<string, () => number>> {
  return {
    zipf: () => Math.min(rows - 1, Math.floor((rows + 1) ** Math.random()) - 1),
    uniform: () => Math.floor(Math.random() * rows),
  };
}
