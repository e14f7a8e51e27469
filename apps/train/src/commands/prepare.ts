/** `scone-train prepare`: text files to a dataset. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { defineCommand, type Progress, UsageError } from '@sconelm/cli-kit';
import { type DatasetManifest, type PrepareProgress, prepareDataset, type TokenizerJson } from '@sconelm/ngram-miner';
import { z } from 'zod';
import { TrainError } from '../errors.js';
import { type ShownSequence, showSequences } from './show-sequences.js';

export const prepareCommand = defineCommand({
  name: 'prepare',
  summary: 'text files to token shards, with a tokenizer trained on them or given',
  examples: [
    'scone-train prepare --text book.txt --directory data',
    'scone-train prepare --text corpus --tokenizer tokenizer.json --on-bad-input skip',
    'scone-train prepare --text a.jsonl.zst --text b.parquet --heldout-text c.jsonl.gz --train-tokenizer 32768',
    'scone-train prepare --show 3 --directory data --fgrams fgrams',
  ],
  config: z.strictObject({
    text: z.array(z.string()).default([]).describe('training text: .txt, .jsonl (also .gz, .zst), .parquet, or folders of them'),
    heldoutText: z.array(z.string()).default([]).describe('held-out text, in the same forms'),
    heldoutShare: z.number().min(0).max(0.5).default(0.05).describe('without held-out text: share of the documents that is held out'),
    directory: z.string().default('data').describe('where the dataset is published'),
    tokenizer: z.string().optional().describe('a tokenizer.json of Hugging Face'),
    trainTokenizer: z
      .int()
      .min(257)
      .max(1_000_000)
      .optional()
      .describe('entries of a tokenizer trained on the text (without --tokenizer: 1024)'),
    textField: z.string().default('text').describe('field or column that holds the text'),
    onBadInput: z.enum(['stop', 'skip']).default('stop').describe('text that cannot be read: stop there, or leave it out and count it'),
    workers: z.int().positive().max(1024).optional().describe('threads (default: all cores)'),
    shardTokens: z
      .int()
      .positive()
      .default(2 ** 26)
      .describe('tokens per shard, about'),
    show: z.int().nonnegative().default(0).describe('print so many decoded sequences of the dataset'),
    fgrams: z.string().optional().describe('of --show: f-grams that are marked in them'),
  }),
  run: async ({ config, progress, signal, output }) => {
    const { text, heldoutText, tokenizer, trainTokenizer, show, fgrams, workers, ...settings } = config;
    const { directory } = settings;
    if (text.length === 0 && show === 0) throw new UsageError('--text: give at least one file or folder');
    if (tokenizer !== undefined && trainTokenizer !== undefined) throw new UsageError('--train-tokenizer: there is --tokenizer already');
    let prepared: { readonly described: Described; readonly lines: string } | undefined;
    if (text.length > 0) {
      const rate = new Rate(progress);
      const manifest = await prepareDataset({
        ...settings,
        ...(workers === undefined ? {} : { workers }),
        train: text,
        heldout: heldoutText,
        tokenizer: tokenizer === undefined ? { vocabSize: trainTokenizer ?? 1024 } : await readTokenizer(tokenizer),
        signal,
        onNote: (note) => progress.note(note),
        onProgress: (state) => rate.update(state),
      });
      prepared = describe(manifest, directory, rate.tokensPerSecond);
    }
    const sequences = show === 0 ? undefined : await showSequences(directory, { count: show, ...(fgrams === undefined ? {} : { fgrams }) });
    output(
      { ...prepared?.described, ...(sequences === undefined ? {} : { sequences }) },
      `${prepared?.lines ?? ''}${(sequences ?? []).map(linesOf).join('')}`,
    );
  },
});

type Described = ReturnType<typeof describe>['described'];

function describe(manifest: DatasetManifest, directory: string, tokensPerSecond: number | undefined) {
  const figures = ({ tokens, documents, bytes }: DatasetManifest['train']) => ({ tokens, documents, bytes });
  const { duplicates, heldoutInTraining, skipped } = manifest;
  const [train, heldout] = [figures(manifest.train), figures(manifest.heldout)];
  const number = (value: number) => value.toLocaleString('en');
  const bytesPerToken = (train.bytes / train.tokens).toFixed(2);
  const left = [
    ...(duplicates === 0 ? [] : [`${number(duplicates)} duplicates`]),
    ...(heldoutInTraining === 0 ? [] : [`${number(heldoutInTraining)} that are held out from training`]),
    ...(skipped.count === 0 ? [] : [`${number(skipped.count)} that could not be read`]),
  ];
  const lines = [
    `${path.resolve(directory)}: ${number(train.tokens)} training tokens in ${number(train.documents)} documents, ${number(heldout.tokens)} held out, ${bytesPerToken} bytes per token${tokensPerSecond === undefined ? '' : `, ${number(Math.round(tokensPerSecond))} tokens/s`}`,
    ...(left.length === 0 ? [] : [`left out: ${left.join(', ')}`]),
    ...skipped.first.slice(0, 10).map(({ message }) => `  ${message}`),
    ...(skipped.count > 10 ? [`  and more; dataset.json names the first ${skipped.first.length}`] : []),
    `next: scone-train mine --data ${directory}`,
  ];
  return {
    described: { train, heldout, duplicates, heldoutInTraining, skipped, ...(tokensPerSecond === undefined ? {} : { tokensPerSecond }) },
    lines: `${lines.join('\n')}\n`,
  };
}

/** Reports progress, and how fast it was in all. */
class Rate {
  readonly #progress: Progress;
  #first: { readonly time: number; readonly tokens: number } | undefined;
  tokensPerSecond: number | undefined;
  #isRead = false;

  constructor(progress: Progress) {
    this.#progress = progress;
  }

  update({ bytes, totalBytes, tokens }: PrepareProgress): void {
    const time = performance.now();
    this.#first ??= { time, tokens };
    if (time > this.#first.time) this.tokensPerSecond = (1000 * (tokens - this.#first.tokens)) / (time - this.#first.time);
    if (this.#isRead) return; // the end is shown once
    this.#isRead = bytes === totalBytes;
    const detail =
      this.tokensPerSecond === undefined ? {} : { detail: `${Math.round(this.tokensPerSecond).toLocaleString('en')} tokens/s` };
    this.#progress.update('encoding', { done: bytes, total: totalBytes, unit: 'bytes', ...detail });
  }
}

const linesOf = ({ split, start, text, lengths }: ShownSequence): string =>
  `\n${split}, from token ${start.toLocaleString('en')}:\n${text}\n  match lengths: ${lengths === undefined ? 'give --fgrams' : lengths.join(' ')}\n`;

async function readTokenizer(file: string): Promise<TokenizerJson> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    throw new TrainError('TRAIN_OPTION', `${file} is no readable tokenizer.json`, 'Give the path of a Hugging Face tokenizer.json.', cause);
  }
}
