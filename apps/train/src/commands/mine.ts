/** `scone-train mine`: a dataset to its f-gram set. */
import { defineCommand } from '@sconelm/cli-kit';
import { mine, mineSources, openDataset } from '@sconelm/ngram-miner';
import { z } from 'zod';
import { statisticsText } from '../fgrams/render-statistics.js';
import { reportFgrams } from '../fgrams/report-fgrams.js';

export const mineCommand = defineCommand({
  name: 'mine',
  summary: 'the most frequent n-grams of a dataset',
  examples: [
    'scone-train mine --data data --directory fgrams --max-length 4 --max-fgrams 100000',
    'scone-train mine --max-length 5 --report',
  ],
  config: z.strictObject({
    data: z.string().default('data').describe('a prepared dataset'),
    directory: z.string().default('fgrams').describe('where the set is published'),
    maxLength: z.int().min(2).max(8).default(4).describe('longest f-gram, K'),
    minCount: z.int().positive().default(5).describe('least number of occurrences'),
    maxFgrams: z.int().positive().default(100_000).describe('how many are kept, S'),
    sources: z.int().min(0).max(255).default(0).describe('how many source documents are kept of each f-gram: 8 bytes each'),
    report: z.boolean().default(false).describe('also what `fgrams` gives: statistics, and DIRECTORY/report.html'),
  }),
  run: async ({ config, progress, signal, output }) => {
    const data = await openDataset(config.data);
    const { train, tokenizer } = data;
    const set = await mine(await train.load(), {
      ...config,
      vocabSize: tokenizer.vocabSize,
      boundary: tokenizer.endOfText,
      onProgress: (length) => progress.note(`counting n-grams of ${length} tokens`),
    });
    const top = Array.from({ length: Math.min(10, set.size) }, (_, id) => ({
      text: tokenizer.decode(set.tokensOf(id)),
      count: set.countOf(id),
    }));
    if (config.sources > 0) {
      await mineSources(set, train.corpus, {
        directory: config.directory,
        perFgram: config.sources,
        signal,
        onProgress: (done) => progress.update('finding sources', { done, total: train.tokenCount, unit: 'tokens' }),
      });
    }
    const report = config.report ? await reportFgrams({ set, data, directory: config.directory, progress, signal }) : undefined;
    output(
      { size: set.size, hash: set.hash, top, ...report },
      `${set.size} f-grams; the most frequent: ${top.map(({ text, count }) => `${JSON.stringify(text)} ${count}`).join(', ')}\n${report === undefined ? '' : `${statisticsText(report.statistics)}page: ${report.file}\n`}`,
    );
  },
});
