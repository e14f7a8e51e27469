/** `scone-train eval`: a run against the held-out split of its dataset. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { defineCommand, formatTable } from '@sconelm/cli-kit';
import { fingerprint } from '@sconelm/decoder';
import { openModel, readRunManifest, runPaths } from '@sconelm/fgram-model';
import { openDataset, openFgrams } from '@sconelm/ngram-miner';
import { openStore } from '@sconelm/offload-store';
import { openDevice } from '@sconelm/tensor-webgpu';
import { z } from 'zod';
import { backendOption, loadGivenBackends } from '../backend-option.js';
import { TrainError } from '../errors.js';
import { evaluateRun } from '../run/evaluate-run.js';
import { tableRows } from '../run/report.js';
import { trainingSchema } from '../run/training-config.js';
import { scoreRun, taskRows } from '../tasks/score-run.js';
import { readTask } from '../tasks/task.js';

export const evalCommand = defineCommand({
  name: 'eval',
  summary: 'held-out loss, perplexity and bits per byte, as in inference',
  examples: [
    'scone-train eval --run runs/scone --data data',
    'scone-train eval --run runs/scone --through model',
    'scone-train eval --run runs/baseline --fgrams fgrams',
    'scone-train eval --stride 64',
    'scone-train eval --task blimp/adjunct_island.jsonl --task hellaswag_val.jsonl.gz --limit 500',
  ],
  config: z.strictObject({
    run: z.string().default('runs/scone').describe('a trained run'),
    data: z.string().default('data').describe('the dataset it was trained on'),
    through: z.enum(['store', 'model']).default('store').describe('f-grams embedded by the store, or by the f-gram model itself'),
    store: z.string().optional().describe('URL of the store (default: rows in the run’s folder)'),
    backend: backendOption,
    fgrams: z
      .string()
      .optional()
      .describe('other f-grams than the run’s, with their --store; of a plain decoder those by which its loss is grouped'),
    stride: z.int().positive().optional().describe('windows that move by so many tokens, in each document alone (default: whole windows)'),
    task: z.array(z.string()).default([]).describe('instead: .jsonl(.gz) of BLiMP, HellaSwag, PIQA or ARC, answered by log-likelihood'),
    taskLabels: z.string().optional().describe('labels of one task, one a line, where they lie in a file of their own'),
    limit: z.int().positive().optional().describe('items of each task (default: all)'),
    prompt: z.string().default('The').describe('the sample goes on from it'),
    seed: trainingSchema.shape.seed.describe('of the sample'),
  }),
  run: async ({ config, progress, signal, output }) => {
    await loadGivenBackends(config.backend);
    const directory = path.resolve(config.run);
    const paths = runPaths(directory);
    const manifest = await readRunManifest(directory);
    const data = await openDataset(config.data);
    if (manifest.tokenizer !== data.tokenizerHash) {
      throw new TrainError(
        'TRAIN_DATA',
        `${config.data} has another tokenizer than ${config.run}`,
        'Give the dataset the run was trained on.',
      );
    }
    using device = await openDevice();
    using model = await openModel(device, directory);
    const isPlain = model.config.fgram === undefined;
    const fgrams = config.fgrams ?? (isPlain ? undefined : paths.fgrams);
    const set = fgrams === undefined ? undefined : await openFgrams(fgrams);
    const url = config.store ?? `file:${paths.rows}`;
    if (!isPlain && config.through === 'store' && config.store === undefined && !existsSync(paths.rows)) {
      throw new TrainError('TRAIN_OPTION', `${config.run} has no rows yet`, `Run scone-train precompute --run ${config.run} first.`);
    }
    await using store =
      isPlain || config.through === 'model' || set === undefined
        ? undefined
        : await openStore(url, { expect: { fgrams: set.hash, model: await fingerprint(model.variables) } });
    if (config.task.length > 0) {
      const tasks = await Promise.all(
        config.task.map((file) =>
          readTask(file, {
            ...(config.taskLabels === undefined ? {} : { labels: config.taskLabels }),
            ...(config.limit === undefined ? {} : { limit: config.limit }),
          }),
        ),
      );
      const scored = await scoreRun(device, {
        directory,
        model,
        tasks,
        tokenizer: data.tokenizer,
        set,
        rows: isPlain ? undefined : (store ?? 'model'),
        progress,
        signal,
      });
      output(scored, `${formatTable(taskRows(scored))}written: ${path.join(directory, 'tasks')}\n`);
      return;
    }
    const evaluation = await evaluateRun(device, {
      directory,
      model,
      data,
      ...(set === undefined ? {} : { set }),
      ...(isPlain ? {} : { rows: store ?? 'model' }),
      ...(config.stride === undefined ? {} : { stride: config.stride }),
      prompt: config.prompt,
      seed: config.seed,
      label: path.basename(directory),
      progress,
      signal,
    });
    const table = tableRows([{ label: path.basename(directory), metrics: [], evaluation }]);
    output(evaluation, `${formatTable(table)}next: scone-train report --run ${config.run}\n`);
  },
});
