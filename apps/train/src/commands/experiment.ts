/** `scone-train experiment`: grids of runs that answer a question, and what came out. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineCommand, formatTable, UsageError } from '@sconelm/cli-kit';
import { openDevice } from '@sconelm/tensor-webgpu';
import { z } from 'zod';
import { EXPERIMENTS } from '../experiment/experiments.js';
import { writeFindings } from '../experiment/render-results.js';
import { readResults, runExperiment } from '../experiment/run-experiment.js';

const CORPUS = fileURLToPath(new URL('../../../../data/quickstart', import.meta.url));
const NAMES = EXPERIMENTS.map(({ name }) => name);

export const experimentCommand = defineCommand({
  name: 'experiment',
  positionals: ['name'],
  summary: 'a grid of runs on the bundled corpus that answers a question; interrupted, it goes on where it ended',
  examples: [
    ...EXPERIMENTS.map(({ name }) => `scone-train experiment ${name}`),
    'scone-train experiment rows --other-text novels.jsonl.zst',
    'scone-train experiment main --show --write docs/results.md',
  ],
  config: z.strictObject({
    name: z.string().describe(NAMES.join(', ')),
    directory: z.string().default('runs/experiments').describe('where data, runs and results lie; experiments share them'),
    otherText: z.string().optional().describe('text of another domain, whose loss is told too'),
    show: z.boolean().default(false).describe('run nothing; tell what there is'),
    write: z.string().optional().describe('a Markdown file whose part about this experiment is written anew'),
  }),
  run: async ({ config, progress, signal, output }) => {
    const { name, show, write, otherText } = config;
    const experiment = EXPERIMENTS.find((candidate) => candidate.name === name);
    if (experiment === undefined) throw new UsageError(`NAME: there is no experiment '${name}'; there are ${NAMES.join(', ')}`);
    const directory = path.resolve(config.directory);
    if (!show) {
      using device = await openDevice();
      progress.note(`adapter: ${device.info.description}`);
      await runExperiment(device, experiment, {
        corpus: CORPUS,
        directory,
        progress,
        signal,
        ...(otherText === undefined ? {} : { otherText }),
      });
    }
    const results = await readResults(directory);
    if (write !== undefined) await writeFindings(path.resolve(write), experiment, results);
    const { table } = experiment.findings((id) => results.get(id));
    output({ name, results: experiment.runs.flatMap(({ id }) => results.get(id) ?? []) }, formatTable(table.map((row) => [...row])));
  },
});
