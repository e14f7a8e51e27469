/** `scone-train quickstart`. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineCommand, formatTable } from '@sconelm/cli-kit';
import { z } from 'zod';
import { quickstart } from '../quickstart/quickstart.js';
import { tableRows } from '../run/report.js';
import { trainingSchema } from '../run/training-config.js';

const CORPUS = fileURLToPath(new URL('../../../../data/quickstart', import.meta.url));

export const quickstartCommand = defineCommand({
  name: 'quickstart',
  summary: 'the whole way of the data on the bundled corpus',
  examples: ['npm run train -- quickstart', 'npm run train -- quickstart --budget 1 --directory runs/short'],
  config: z.strictObject({
    budget: z.number().positive().max(10_000).default(5).describe('minutes on two cores; training tokens are proportional to it'),
    seed: trainingSchema.shape.seed.describe('initial weights, order of windows, sample'),
    directory: z.string().default('runs/quickstart').describe('where everything is written'),
  }),
  run: async ({ config, progress, signal, output }) => {
    const directory = path.resolve(config.directory);
    const { summary, runs, report } = await quickstart({ ...config, directory, corpus: CORPUS, signal, progress });
    output(
      summary,
      `\n${formatTable(tableRows(runs))}\nreport: ${report}\nnext:   npm run infer -- generate --run ${path.join(config.directory, 'scone')} --prompt "The people of"\n        npm run train -- quickstart --budget 20 --directory runs/longer\n`,
    );
  },
});
