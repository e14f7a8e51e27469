/** This repository's miner on a corpus of shards. */

/** @param {import('./corpus.mjs').Corpus} corpus @returns {import('@sconelm/ngram-miner').TokenCorpus} */
export const tokenCorpus = ({ shards, vocabSize, boundary }) => ({ shards, dtype: 'u16', blockBytes: 1 << 20, vocabSize, boundary });
