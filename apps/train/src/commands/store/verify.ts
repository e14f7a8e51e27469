/** `scone-train store verify`: every block against its checksum, and rows against the model that made them. */
import { defineCommand } from '@sconelm/cli-kit';
import { fingerprint } from '@sconelm/decoder';
import { openModel, RowComputer, runPaths } from '@sconelm/fgram-model';
import { openFgrams } from '@sconelm/ngram-miner';
import { openStore, type RowDtype, type RowStore } from '@sconelm/offload-store';
import { openDevice } from '@sconelm/tensor-webgpu';
import { z } from 'zod';
import { backendOption, loadGivenBackends } from '../../backend-option.js';
import { TrainError } from '../../errors.js';

/** By how much a stored row may differ from a computed one, as a share of the row's largest element: its form's rounding, and another adapter's sums. */
const TOLERANCE: Readonly<Record<RowDtype, number>> = { f32: 1e-4, f16: 1e-3, bf16: 1e-2, int8: 1e-2, int4: 0.15 };

export const storeVerifyCommand = defineCommand({
  name: 'store verify',
  positionals: ['store'],
  summary: 'every block against its checksum; with --run, rows against what the f-gram model gives',
  examples: ['scone-train store verify file:rows', 'scone-train store verify file:runs/scone/rows --run runs/scone --sample 200'],
  config: z.strictObject({
    store: z.string().describe('URL of a published store'),
    run: z.string().optional().describe('the run whose model made the rows'),
    sample: z.int().positive().default(100).describe('rows that are computed again, spread evenly over the ids'),
    backend: backendOption,
  }),
  run: async ({ config, progress, signal, output }) => {
    await loadGivenBackends(config.backend);
    await using store = await openStore(config.store);
    progress.note(`comparing ${store.rows.toLocaleString('en')} rows with their checksums`);
    await store.verify({ signal });
    const sampled = config.run === undefined ? 0 : await compareWithModel(store, config.run, config.sample);
    output(
      { store: config.store, rows: store.rows, sampled },
      `${config.store}: ${store.rows.toLocaleString('en')} rows match their checksums${sampled === 0 ? '' : `, ${sampled} of them the model`}\n`,
    );
  },
});

/** @returns how many rows were compared @throws {TrainError} STORE_DIFFERS */
async function compareWithModel(store: RowStore, run: string, sample: number): Promise<number> {
  using device = await openDevice();
  using model = await openModel(device, run);
  const { fgram } = model.config;
  if (fgram === undefined) throw new TrainError('TRAIN_OPTION', `${run} is a plain decoder`, 'Give a run that was trained with f-grams.');
  const set = await openFgrams(runPaths(run).fgrams);
  const { binding } = store.manifest;
  if (binding.fgrams !== set.hash || binding.model !== (await fingerprint(model.variables))) {
    throw new TrainError(
      'STORE_DIFFERS',
      `${store.url} was made from another model or other f-grams than ${run}`,
      'Give the run that made it.',
    );
  }
  const count = Math.min(sample, store.rows);
  const ids = Uint32Array.from({ length: count }, (_, i) => Math.floor((i * store.rows) / count));
  const [stored, computed] = [new Float32Array(count * store.width), new Float32Array(count * store.width)];
  await store.read(ids, stored);
  using computer = new RowComputer(device, set, model, fgram);
  await computer.compute(ids, computed);
  ids.forEach((id, i) => {
    const [row, expected] = [stored, computed].map((rows) => rows.subarray(i * store.width, (i + 1) * store.width));
    const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const difference = row.reduce((most, value, column) => Math.max(most, Math.abs(value - expected[column])), 0);
    if (difference <= largest * TOLERANCE[store.dtype]) return;
    throw new TrainError(
      'STORE_DIFFERS',
      `${store.url}: row ${id} differs from the model's by ${difference.toPrecision(3)}, its largest element is ${largest.toPrecision(3)}`,
      'Precompute the store again.',
    );
  });
  return count;
}
