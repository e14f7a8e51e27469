/** What the runs of a grid read: the bundled corpus, a tenth of it, text of another domain, and f-grams of each; made once. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { publishBytes } from '@sconelm/artifact';
import type { Progress } from '@sconelm/cli-kit';
import { type Dataset, mine, openDataset, openFgrams, type PrepareOptions, prepareDataset, type TokenizerJson } from '@sconelm/ngram-miner';
import type { RunInputs } from '../run/start-run.js';
import type { GridRun } from './grid.js';

export interface ExperimentOptions {
  /** The bundled corpus. */
  readonly corpus: string;
  /** Where everything is written. */
  readonly directory: string;
  /** Text of another domain; losses there are told too. */
  readonly otherText?: string;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

export type GridInputs = RunInputs & { readonly fgrams: NonNullable<RunInputs['fgrams']>; readonly other?: Dataset };

const VOCABULARY = 1024;
/** Of every so many documents the small corpus has one. */
const TENTH = 10;
const MIN_COUNT = 5;
/** Of the other text where a part of it is mined: what is held out of that. */
const HELDOUT_SHARE = 0.1;

const heldoutFile = ({ corpus }: ExperimentOptions) => path.join(corpus, 'sotu-heldout.jsonl.gz');

export async function inputsOf({ corpus, fgrams: { maxLength, maxFgrams } }: GridRun, options: ExperimentOptions): Promise<GridInputs> {
  const { directory, signal, otherText } = options;
  const train = path.join(options.corpus, 'sotu-train.jsonl.gz');
  const whole = await prepared('data', options, async () => ({
    train: [train],
    heldout: [heldoutFile(options)],
    tokenizer: { vocabSize: VOCABULARY },
  }));
  const data =
    corpus === 'whole'
      ? whole
      : await prepared(corpus, options, async (tokenizer) => ({
          train: [await writeTenth(train, directory)],
          heldout: [heldoutFile(options)],
          tokenizer,
        }));
  const other =
    otherText === undefined
      ? undefined
      : await prepared('other', options, async (tokenizer) => ({
          train: [heldoutFile(options)], // a dataset has a training split; only the other one is read
          heldout: [otherText],
          tokenizer,
        }));
  const folder = path.join(directory, 'fgrams', `${corpus === 'whole' ? '' : `${corpus}-`}k${maxLength}-${maxFgrams}`);
  if (!existsSync(path.join(folder, 'fgrams.json')))
    await mine(data.dataset.train.corpus, { directory: folder, maxLength, minCount: MIN_COUNT, maxFgrams, signal });
  return {
    data: data.dataset,
    dataDirectory: data.directory,
    fgrams: { set: await openFgrams(folder), directory: folder },
    ...(other === undefined ? {} : { other: other.dataset }),
  };
}

/** Of the other text: a part held out, and the f-grams of the rest behind those of a run. @param maxFgrams of both together */
export async function packInputs(
  { fgrams: { maxLength, maxFgrams: own } }: GridRun,
  otherText: string,
  maxFgrams: number,
  options: ExperimentOptions,
): Promise<Omit<GridInputs, 'other'>> {
  const { directory, signal } = options;
  const { dataset, directory: dataDirectory } = await prepared('pack', options, async (tokenizer) => ({
    train: [otherText],
    heldoutShare: HELDOUT_SHARE,
    tokenizer,
  }));
  const folder = path.join(directory, 'fgrams', `k${maxLength}-${own}-pack-${maxFgrams}`);
  if (!existsSync(path.join(folder, 'fgrams.json'))) {
    const extend = path.join(directory, 'fgrams', `k${maxLength}-${own}`);
    await mine(dataset.train.corpus, { directory: folder, maxLength, minCount: MIN_COUNT, maxFgrams, extend, signal });
  }
  return { data: dataset, dataDirectory, fgrams: { set: await openFgrams(folder), directory: folder } };
}

/** @param from is told the tokenizer of the whole corpus, which all share */
async function prepared(
  name: string,
  { directory, progress, signal }: ExperimentOptions,
  from: (tokenizer: TokenizerJson) => Promise<Pick<PrepareOptions, 'train' | 'heldout' | 'heldoutShare' | 'tokenizer'>>,
): Promise<{ dataset: Dataset; directory: string }> {
  const folder = path.join(directory, name);
  if (!existsSync(path.join(folder, 'dataset.json'))) {
    progress.note(`preparing ${folder}`);
    const file = path.join(directory, 'data', 'tokenizer.json');
    const tokenizer = existsSync(file) ? JSON.parse(await readFile(file, 'utf8')) : {};
    await prepareDataset({ directory: folder, ...(await from(tokenizer)), signal });
  }
  return { dataset: await openDataset(folder), directory: folder };
}

async function writeTenth(train: string, directory: string): Promise<string> {
  const file = path.join(directory, 'tenth.jsonl');
  const lines = gunzipSync(await readFile(train))
    .toString('utf8')
    .split('\n');
  await publishBytes(file, lines.filter((line, i) => line !== '' && i % TENTH === 0).join('\n'));
  return file;
}
