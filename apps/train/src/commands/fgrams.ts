/** `scone-train fgrams`: the statistics of a set that is there, as a table and a page. */
import { defineCommand } from '@sconelm/cli-kit';
import { openDataset, openFgrams } from '@sconelm/ngram-miner';
import { z } from 'zod';
import { statisticsText } from '../fgrams/render-statistics.js';
import { reportFgrams } from '../fgrams/report-fgrams.js';

export const fgramsCommand = defineCommand({
  name: 'fgrams',
  summary: 'statistics of an f-gram set: lengths, hit rates, the most frequent by class; also as a page',
  examples: ['scone-train fgrams', 'scone-train fgrams --directory runs/scone/fgrams --file fgrams.html --json'],
  config: z.strictObject({
    directory: z.string().default('fgrams').describe('the set'),
    data: z.string().default('data').describe('the dataset with its tokenizer and held-out text'),
    file: z.string().optional().describe('where the page is written (default: report.html in the set’s folder)'),
  }),
  run: async ({ config: { directory, data, file }, progress, signal, output }) => {
    const report = await reportFgrams({
      set: await openFgrams(directory),
      data: await openDataset(data),
      directory,
      ...(file === undefined ? {} : { file }),
      progress,
      signal,
    });
    output(report, `${statisticsText(report.statistics)}page: ${report.file}\n`);
  },
});
