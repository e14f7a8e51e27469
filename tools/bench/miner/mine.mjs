/** This repository's miner on a corpus of shards. */
import { mine } from '@sconelm/ngram-miner';

/**
 * @param {import('./corpus.mjs').Corpus} corpus
 * @param {{ maxLength: number, minCount: number, maxFgrams: number, directory: string }} options
 */
export const mineFgrams = (corpus, options) => mine({ ...corpus, dtype: 'u16', blockBytes: 2 ** 20 }, options);
