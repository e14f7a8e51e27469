/** This repository's miner on a corpus of shards. */
import { mine } from '@sconelm/ngram-miner';
import { readTokens } from './corpus.mjs';

/**
 * @param {import('./corpus.mjs').Corpus} corpus
 * @param {{ maxLength: number, minCount: number, maxFgrams: number, directory: string }} options
 */
export const mineFgrams = (corpus, options) =>
  mine(readTokens(corpus), { ...options, vocabSize: corpus.vocabSize, boundary: corpus.boundary });
