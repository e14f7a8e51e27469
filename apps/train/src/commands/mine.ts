/** `scone-train mine`: a dataset to its f-gram set, or a part of the work, or the set of all parts. */
import { bytesOf, defineCommand, type Progress, sizeSchema, UsageError } from '@sconelm/cli-kit';
import {
  type CountOptions,
  type FgramSet,
  type MiningPlan,
  mergeParts,
  mine,
  minePart,
  mineSources,
  openDataset,
} from '@sconelm/ngram-miner';
import { z } from 'zod';
import { statisticsText } from '../fgrams/render-statistics.js';
import { reportFgrams } from '../fgrams/report-fgrams.js';

export const mineCommand = defineCommand({
  name: 'mine',
  summary: 'the most frequent n-grams of a dataset',
  examples: [
    'scone-train mine --data data --directory fgrams --max-length 4 --max-fgrams 100000',
    'scone-train mine --max-length 5 --memory 512MiB --report',
    'scone-train mine --part 1/3 --directory parts/1        (on each of three machines, then)',
    'scone-train mine --merge parts/1 --merge parts/2 --merge parts/3 --directory fgrams',
    'scone-train mine --data more --extend fgrams --directory fgrams-2',
  ],
  config: z.strictObject({
    data: z.string().default('data').describe('a prepared dataset'),
    directory: z.string().default('fgrams').describe('where the set is published'),
    maxLength: z.int().min(2).max(8).default(4).describe('longest f-gram, K'),
    minCount: z.int().positive().default(5).describe('least number of occurrences'),
    maxFgrams: z.int().positive().default(100_000).describe('how many are kept, S'),
    memory: sizeSchema.optional().describe('what the process may take (default: 2GiB, or half of a small machine)'),
    workers: z.int().positive().optional().describe('threads (default: one per core)'),
    kernel: z.enum(['wasm', 'typescript']).default('wasm').describe('the inner loops; both give the same set'),
    part: z
      .string()
      .regex(/^\d+\/\d+$/, 'expected a part as 1/3')
      .optional()
      .describe('count only part i of n, as i/n, for --merge'),
    merge: z.array(z.string()).default([]).describe('folders of all parts, whose set is made'),
    extend: z.string().optional().describe('a set whose f-grams keep their ids; what this data adds gets the next ones'),
    sources: z.int().min(0).max(255).default(0).describe('how many source documents are kept of each f-gram: 8 bytes each'),
    report: z.boolean().default(false).describe('also what `fgrams` gives: statistics, and DIRECTORY/report.html'),
  }),
  run: async ({ config, progress, signal, output }) => {
    const { directory, maxLength, minCount, maxFgrams, extend, part, merge } = config;
    const set = { directory, maxFgrams, ...(extend === undefined ? {} : { extend }) };
    if (part !== undefined && (extend !== undefined || merge.length > 0 || config.report || config.sources > 0))
      throw new UsageError(
        '--part only counts: --extend, --merge, --sources and --report are for the whole set',
        'Give them when parts are merged.',
      );
    const data = await openDataset(config.data);
    const counting: CountOptions = {
      ...{ maxLength, minCount, signal, kernel: config.kernel },
      ...(config.memory === undefined ? {} : { memoryBytes: bytesOf(config.memory) }),
      ...(config.workers === undefined ? {} : { workers: config.workers }),
      ...reporting(progress),
    };
    if (part !== undefined) {
      const [i, parts] = part.split('/').map(Number);
      await minePart(data.train.corpus, { ...counting, part: i, parts, directory });
      output({ directory, part: i, parts }, `${directory}: part ${part}\nnext: scone-train mine --merge ${directory} --merge ...\n`);
      return;
    }
    const mined = merge.length > 0 ? await mergeParts(merge, set) : await mine(data.train.corpus, { ...counting, ...set });
    const top = topOf(mined, data.tokenizer);
    if (config.sources > 0) {
      await mineSources(mined, data.train.corpus, {
        directory,
        perFgram: config.sources,
        signal,
        onProgress: (done) => progress.update('finding sources', { done, total: data.train.tokenCount, unit: 'tokens' }),
      });
    }
    const report = config.report ? await reportFgrams({ set: mined, data, directory, progress, signal }) : undefined;
    output(
      { size: mined.size, hash: mined.hash, top, ...report },
      `${mined.size} f-grams; the most frequent: ${top.map(({ text, count }) => `${JSON.stringify(text)} ${count}`).join(', ')}\n${report === undefined ? '' : `${statisticsText(report.statistics)}page: ${report.file}\n`}`,
    );
  },
});

function reporting(progress: Progress): Pick<CountOptions, 'onPlan' | 'onProgress'> {
  return {
    onPlan: (plan) => progress.note(planText(plan)),
    onProgress: ({ stage, done, total }) => {
      if (stage !== 'ranking') progress.update(stage, { done, total, unit: 'tokens' });
      else if (done === 0) progress.note('ranking');
    },
  };
}

function planText({ tokens, passes, finished, workers, peakBytes, diskBytes }: MiningPlan): string {
  const left = finished === 0 ? '' : ` (${finished} are done)`;
  const size = (bytes: number) => `${Math.ceil(bytes / 2 ** 20).toLocaleString('en')} MiB`;
  return `${tokens.toLocaleString('en')} tokens in ${passes} ${passes === 1 ? 'pass' : 'passes'}${left} with ${workers} workers: at most ${size(peakBytes)} of memory and ${size(diskBytes)} of disk`;
}

function topOf(set: FgramSet, tokenizer: { decode(tokens: ArrayLike<number>): string }) {
  return Array.from({ length: Math.min(10, set.size) }, (_, id) => ({ text: tokenizer.decode(set.tokensOf(id)), count: set.countOf(id) }));
}
