/** `scone-train precompute`: one row per f-gram of a trained run, published as a store. */
import path from 'node:path';
import { defineCommand, UsageError } from '@sconelm/cli-kit';
import { fingerprint } from '@sconelm/decoder';
import { openModel, runPaths } from '@sconelm/fgram-model';
import { openFgrams } from '@sconelm/ngram-miner';
import { openStore, rowDtypes } from '@sconelm/offload-store';
import { openDevice } from '@sconelm/tensor-webgpu';
import { z } from 'zod';
import { backendOption, loadGivenBackends } from '../backend-option.js';
import { precomputePart, precomputeRun } from '../run/precompute-run.js';

export const precomputeCommand = defineCommand({
  name: 'precompute',
  summary: 'one row per f-gram, published as a store',
  examples: [
    'scone-train precompute --run runs/scone',
    'scone-train precompute --run runs/scone --row-dtype f16 --store file:rows-f16',
    'scone-train precompute --part 1/4        (in each of four processes, then without --part)',
    'scone-train precompute --fgrams fgrams-law --base file:runs/scone/rows --store file:rows-law',
  ],
  config: z.strictObject({
    run: z.string().default('runs/scone').describe('a trained run'),
    store: z.string().optional().describe('URL of the store (default: rows in the run’s folder)'),
    fgrams: z.string().optional().describe('other f-grams than the run’s: those that mine --extend added a second corpus to'),
    base: z.string().optional().describe('with --fgrams: store of the run’s own f-grams, whose rows are taken over'),
    part: z
      .string()
      .regex(/^[1-9]\d*\/[1-9]\d*$/, 'expected a part as 1/4')
      .optional()
      .describe('compute only part i of n, as i/n; when all are done, the same command without it publishes'),
    rowDtype: z.enum(rowDtypes).default('f32').describe('form of the rows: f32, f16, bf16, int8 or int4'),
    backend: backendOption,
  }),
  run: async ({ config, progress, signal, output }) => {
    await loadGivenBackends(config.backend);
    const directory = path.resolve(config.run);
    const url = config.store ?? `file:${runPaths(directory).rows}`;
    using device = await openDevice();
    using model = await openModel(device, directory);
    const own = await openFgrams(runPaths(directory).fgrams);
    if (config.fgrams !== undefined && config.store === undefined)
      throw new UsageError('--store: rows of other f-grams need a place of their own');
    const set = config.fgrams === undefined ? own : await openFgrams(config.fgrams);
    if (config.part !== undefined) {
      const [index, parts] = config.part.split('/').map(Number);
      if (index > parts || config.base !== undefined) throw new UsageError('--part: i of n, at most n, without --base');
      const rows = await precomputePart(device, { model, set, store: url, rowDtype: config.rowDtype, progress, signal }, { index, parts });
      output(
        { store: url, part: config.part, rows },
        `${url}: part ${config.part}, ${rows.toLocaleString('en')} rows\nnext: the other parts, then the same command without --part\n`,
      );
      return;
    }
    await using base =
      config.base === undefined
        ? undefined
        : await openStore(config.base, { expect: { fgrams: own.hash, model: await fingerprint(model.variables) } });
    await using rows = await precomputeRun(device, {
      ...{ model, set, store: url, rowDtype: config.rowDtype, progress, signal },
      ...(base === undefined ? {} : { base: { set: own, rows: base } }),
    });
    const bytes = rows.rows * rows.rowBytes;
    output(
      { store: url, rows: rows.rows, rowBytes: rows.rowBytes, bytes, dtype: rows.dtype },
      `${url}: ${rows.rows.toLocaleString('en')} rows of ${rows.rowBytes} bytes, ${(bytes / 1e6).toFixed(1)} MB\nnext: scone-infer generate --run ${config.run} --prompt "..."\n`,
    );
  },
});
