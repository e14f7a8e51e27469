/** `scone-train report`: a page of one or more runs. */
import path from 'node:path';
import { publishBytes } from '@sconelm/artifact';
import { defineCommand } from '@sconelm/cli-kit';
import { readRunManifest, runPaths } from '@sconelm/fgram-model';
import { z } from 'zod';
import { readRunEvaluation } from '../run/evaluate-run.js';
import { readMetrics } from '../run/metrics.js';
import { renderReport } from '../run/report.js';

export const reportCommand = defineCommand({
  name: 'report',
  summary: 'a page with curves, table and samples of one or more runs',
  examples: ['scone-train report --run runs/scone', 'scone-train report --run runs/baseline --run runs/scone --file comparison.html'],
  config: z.strictObject({
    run: z.array(z.string()).min(1).default(['runs/scone']).describe('runs, side by side'),
    file: z.string().optional().describe('where the page is written (default: report.html in the first run’s folder)'),
  }),
  run: async ({ config, output }) => {
    const runs = await Promise.all(
      config.run.map(async (directory) => {
        await readRunManifest(directory);
        const evaluation = await readRunEvaluation(directory);
        const metrics = await readMetrics(runPaths(directory).metrics);
        return { label: path.basename(path.resolve(directory)), metrics, ...(evaluation === undefined ? {} : { evaluation }) };
      }),
    );
    const file = path.resolve(config.file ?? runPaths(config.run[0]).report);
    const missing = runs.filter(({ evaluation }) => evaluation === undefined).map(({ label }) => label);
    const lead = missing.length === 0 ? [] : [`Not evaluated yet: ${missing.join(', ')}.`];
    await publishBytes(file, renderReport({ title: runs.map(({ label }) => label).join(', '), lead, runs }));
    output({ file, runs: runs.map(({ label }) => label) }, `report: ${file}\n`);
  },
});
