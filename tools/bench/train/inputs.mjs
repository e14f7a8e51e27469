/** What training is measured on: the bundled corpus, prepared and mined once for each size, kept in the cache. */
import { existsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { mine, openDataset, openFgrams, prepareDataset, TokenReader } from '@sconelm/ngram-miner';
import { trainingSchema } from '../../../apps/train/dist/run/training-config.js';
import { Windows } from '../../../apps/train/dist/windows.js';
import { ROOT } from '../../setup/root.mjs';
import { GPT } from '../tensor/gpt.mjs';

const CACHE = path.join(process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), '.cache'), 'sconelm/bench/train');
const SET = { maxLength: 4, minCount: 5, maxFgrams: 100_000 };
const SEED = 1;

/** The quickstart's model, and the GPT that engines are compared with, each with an f-gram model of its own depth; `steps` make a round. */
export const SIZES = {
  small: { vocabSize: 1024, contextLength: 128, layers: 2, width: 64, heads: 2, batch: 4, steps: 12 },
  gpt: {
    vocabSize: GPT.vocabulary,
    contextLength: GPT.context,
    layers: GPT.layers,
    width: GPT.width,
    heads: GPT.heads,
    batch: GPT.batch,
    steps: 3,
  },
};

/** @param {keyof typeof SIZES} size */
export async function inputsOf(size) {
  const { batch, steps, ...decoder } = SIZES[size];
  const [data, fgrams] = ['data', 'fgrams'].map((name) => path.join(CACHE, `${name}-${decoder.vocabSize}`));
  const text = (/** @type {string} */ split) => [path.join(ROOT, `data/quickstart/sotu-${split}.jsonl.gz`)];
  if (!existsSync(path.join(data, 'dataset.json'))) {
    const tokenizer = { vocabSize: decoder.vocabSize };
    await prepareDataset({ directory: data, train: text('train'), heldout: text('heldout'), tokenizer });
  }
  const dataset = await openDataset(data);
  if (!existsSync(path.join(fgrams, 'fgrams.json'))) await mine(dataset.train.corpus, { directory: fgrams, ...SET });
  const set = await openFgrams(fgrams);
  const tokens = new TokenReader(dataset.train.corpus);
  const { layers, width, heads, contextLength: T } = decoder;
  return {
    steps,
    decoder,
    fgram: { maxLength: SET.maxLength, layers, width, heads, unit: 0.03, finalNorm: false },
    training: trainingSchema.parse({ batch, seed: SEED }),
    set,
    windows: () => new Windows(tokens, { T, seed: SEED, matcher: set.matcher(dataset.tokenizer.endOfText) }),
  };
}
