/** `scone-train fgrams`: the statistics of a set that is there, as a table and a page; or what it knows of one text. */
import { defineCommand } from '@sconelm/cli-kit';
import { openDataset, openFgrams } from '@sconelm/ngram-miner';
import { z } from 'zod';
import { findPhrase, phraseText } from '../fgrams/find-phrase.js';
import { statisticsText } from '../fgrams/render-statistics.js';
import { reportFgrams } from '../fgrams/report-fgrams.js';

export const fgramsCommand = defineCommand({
  name: 'fgrams',
  summary: 'statistics of an f-gram set: lengths, hit rates, the most frequent by class; also as a page',
  examples: [
    'scone-train fgrams',
    'scone-train fgrams --directory runs/scone/fgrams --file fgrams.html --json',
    "scone-train fgrams --phrase ' of the United States'        (its count, and the documents it stands in: mine --sources)",
  ],
  config: z.strictObject({
    directory: z.string().default('fgrams').describe('the set'),
    data: z.string().default('data').describe('the dataset with its tokenizer and held-out text'),
    file: z.string().optional().describe('where the page is written (default: report.html in the set’s folder)'),
    phrase: z.string().optional().describe('only look up this text, as it is: a blank in front matters'),
  }),
  run: async ({ config: { directory, file, phrase, ...config }, progress, signal, output }) => {
    const [set, data] = await Promise.all([openFgrams(directory), openDataset(config.data)]);
    if (phrase !== undefined) {
      const found = await findPhrase(phrase, { set, data, directory });
      output(found, phraseText(found));
      return;
    }
    const report = await reportFgrams({
      set,
      data,
      directory,
      ...(file === undefined ? {} : { file }),
      progress,
      signal,
    });
    output(report, `${statisticsText(report.statistics)}page: ${report.file}\n`);
  },
});
