export { MinerError, type MinerErrorCode } from './errors.js';
export { type FgramManifest, FgramSet, Matcher } from './fgrams/fgram-set.js';
export { type CountedFgram, type CountOptions, compareFgrams, countFgrams } from './mine/count.js';
export { type MineOptions, mine, openFgrams } from './mine/mine.js';
export { END_OF_TEXT, Tokenizer, type TokenizerJson } from './tokenizer/tokenizer.js';
export { trainTokenizer } from './tokenizer/train.js';
export { type Dataset, openDataset, type PrepareOptions, prepareDataset, type Split, type TokenSplit } from './tokens/dataset.js';
export { readDocuments } from './tokens/documents.js';
