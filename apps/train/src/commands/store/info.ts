/** `scone-train store info`: what a store says about itself. */
import { defineCommand } from '@sconelm/cli-kit';
import { openStore, type StoreManifest } from '@sconelm/offload-store';
import { z } from 'zod';
import { backendOption, loadGivenBackends } from '../../backend-option.js';

/** One line: rows, form, size. */
export function describeManifest({ rows, width, dtype, rowBytes }: StoreManifest): string {
  return `${rows.toLocaleString('en')} rows of ${width} ${dtype} (${rowBytes} bytes), ${((rows * rowBytes) / 1e6).toFixed(1)} MB`;
}

export const storeInfoCommand = defineCommand({
  name: 'store info',
  positionals: ['store'],
  summary: 'what a store says about itself',
  examples: ['scone-train store info file:runs/scone/rows', 'scone-train store info https://host/rows --json'],
  config: z.strictObject({
    store: z.string().describe('URL of a published store'),
    backend: backendOption,
  }),
  run: async ({ config, output }) => {
    await loadGivenBackends(config.backend);
    const started = performance.now();
    await using store = await openStore(config.store);
    const openMs = performance.now() - started;
    const { manifest } = store;
    const lines = [
      describeManifest(manifest),
      `checksums: one per ${manifest.blockRows} rows; data files of ${manifest.shardRows.toLocaleString('en')} rows at most`,
      ...Object.entries(manifest.binding).map(([name, value]) => `made from ${name} ${value}`),
      ...(manifest.creator === undefined ? [] : [`creator: ${manifest.creator}`]),
      ...(manifest.licence === undefined ? [] : [`licence: ${manifest.licence}`]),
      `fingerprint ${manifest.fingerprint}`,
      `opened in ${openMs.toFixed(1)} ms`,
    ];
    output({ store: config.store, ...manifest, openMs }, `${lines.join('\n')}\n`);
  },
});
