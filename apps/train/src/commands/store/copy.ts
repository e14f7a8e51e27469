/** `scone-train store copy`: rows to another place, medium or form. */
import { defineCommand } from '@sconelm/cli-kit';
import { copyStore, openStore, rowDtypes } from '@sconelm/offload-store';
import { z } from 'zod';
import { backendOption, loadGivenBackends } from '../../backend-option.js';
import { describeManifest } from './info.js';

export const storeCopyCommand = defineCommand({
  name: 'store copy',
  positionals: ['from', 'to'],
  summary: 'rows to another place, medium or form; an interrupted copy goes on',
  examples: [
    'scone-train store copy file:runs/scone/rows file:rows-int8 --dtype int8',
    'scone-train store copy file:rows file:public/rows --block-rows 16',
    'scone-train store copy https://host/rows file:hot --rows 10000',
    'scone-train store copy file:rows sqlite:rows.db --backend sqlite-backend.mjs',
  ],
  config: z.strictObject({
    from: z.string().describe('URL of a published store'),
    to: z.string().describe('URL of the copy'),
    rows: z.int().positive().optional().describe('only so many rows, the most frequent ones, for a first tier (default: all)'),
    dtype: z
      .enum(rowDtypes)
      .optional()
      .describe(`form of the copy: ${rowDtypes.join(', ')} (default: as it is)`),
    blockRows: z.int().positive().optional().describe('rows under one checksum; few for stores behind https:'),
    shardRows: z.int().positive().optional().describe('rows per data file'),
    backend: backendOption,
  }),
  run: async ({ config: { from, to, backend, ...form }, progress, signal, output }) => {
    await loadGivenBackends(backend);
    const given = Object.fromEntries(Object.entries(form).filter(([, value]) => value !== undefined));
    const onProgress = (done: number, total: number) => progress.update('copying rows', { done, total, unit: 'rows' });
    await copyStore(from, to, { ...given, signal, onProgress });
    await using copy = await openStore(to);
    output({ store: to, ...copy.manifest }, `${to}: ${describeManifest(copy.manifest)}\n`);
  },
});
