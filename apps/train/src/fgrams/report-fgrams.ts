/** From a set and its dataset to the statistics and the page. */
import path from 'node:path';
import { publishBytes } from '@sconelm/artifact';
import type { Progress } from '@sconelm/cli-kit';
import { type Dataset, type FgramSet, type FgramStatistics, fgramStatistics, readTokens } from '@sconelm/ngram-miner';
import { expectVocabulary } from './expect-vocabulary.js';
import { statisticsPage } from './render-statistics.js';

export interface FgramReport {
  readonly set: FgramSet;
  readonly data: Dataset;
  /** Where the set was opened: it names the page. */
  readonly directory: string;
  /** Where the page is written. */
  readonly file?: string;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** @returns the statistics and the page's path @throws {TrainError} TRAIN_DATA if the set is of another vocabulary */
export async function reportFgrams({ set, data, directory, file, progress, signal }: FgramReport) {
  const { tokenizer, heldout } = data;
  expectVocabulary(set, data, directory);
  const statistics: FgramStatistics = await fgramStatistics(set, {
    tokenizer,
    heldout: readTokens(heldout.corpus),
    signal,
    onProgress: (done) => progress.update('matching held-out text', { done, total: heldout.tokenCount, unit: 'tokens' }),
  });
  const target = path.resolve(file ?? path.join(directory, 'report.html'));
  await publishBytes(target, statisticsPage(`F-grams: ${path.basename(path.resolve(directory))}`, statistics));
  return { statistics, file: target };
}
