/** `scone-train prepare`: text files to a dataset. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { defineCommand } from '@sconelm/cli-kit';
import { openDataset, prepareDataset, readDocuments, type TokenizerJson, trainTokenizer } from '@sconelm/ngram-miner';
import { z } from 'zod';
import { TrainError } from '../errors.js';

export const prepareCommand = defineCommand({
  name: 'prepare',
  summary: 'text files to token shards, with a tokenizer trained on them or given',
  examples: [
    'scone-train prepare --text \'["book.txt"]\' --directory data',
    'scone-train prepare --text \'["a.jsonl.gz"]\' --heldout-text \'["b.jsonl.gz"]\' --tokenizer tokenizer.json',
  ],
  config: z.strictObject({
    text: z.array(z.string()).min(1).describe('training files: .txt or .jsonl, also .gz'),
    heldoutText: z.array(z.string()).default([]).describe('held-out files; without any, one document in twenty is held out'),
    directory: z.string().default('data').describe('where the dataset is published'),
    tokenizer: z.string().optional().describe('a tokenizer.json; without one a tokenizer is trained'),
    vocabSize: z.int().min(257).max(65_536).default(1024).describe('entries of a trained tokenizer'),
  }),
  run: async ({ config, progress, signal, output }) => {
    let train = await readDocuments(config.text);
    let heldout = await readDocuments(config.heldoutText);
    if (heldout.length === 0) [train, heldout] = holdOut(train);
    let tokenizer: TokenizerJson;
    if (config.tokenizer === undefined) {
      progress.note(`training a tokenizer of ${config.vocabSize} entries`);
      tokenizer = trainTokenizer(train, { vocabSize: config.vocabSize });
    } else tokenizer = await readTokenizer(config.tokenizer);
    const onProgress = (done: number, total: number) => progress.update('encoding', { done, total, unit: 'bytes' });
    await prepareDataset({ tokenizer, directory: config.directory, train, heldout, signal, onProgress });
    const data = await openDataset(config.directory);
    const described = Object.fromEntries(
      (['train', 'heldout'] as const).map((split) => [
        split,
        { tokens: data[split].tokens.length, documents: data[split].documents, bytes: data[split].bytes },
      ]),
    );
    output(
      described,
      `${path.resolve(config.directory)}: ${data.train.tokens.length} training tokens, ${data.heldout.tokens.length} held out, ${(data.train.bytes / data.train.tokens.length).toFixed(2)} bytes per token\nnext: scone-train mine --data ${config.directory}\n`,
    );
  },
});

/** One document in twenty is held out; a single document gives its last twentieth. */
function holdOut(documents: readonly string[]): [string[], string[]] {
  if (documents.length > 1) return [documents.filter((_, i) => i % 20 !== 1), documents.filter((_, i) => i % 20 === 1)];
  const [text] = documents;
  const cut = Math.floor(text.length * 0.95);
  return [[text.slice(0, cut)], [text.slice(cut)]];
}

async function readTokenizer(file: string): Promise<TokenizerJson> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    throw new TrainError('TRAIN_OPTION', `${file} is no readable tokenizer.json`, 'Give the path of a Hugging Face tokenizer.json.', cause);
  }
}
