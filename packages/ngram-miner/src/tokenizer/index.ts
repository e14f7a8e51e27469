export { MinerError, type MinerErrorCode } from '../errors.js';
export { END_OF_TEXT, Tokenizer, type TokenizerJson } from './tokenizer.js';
export { type TrainTokenizerOptions, trainTokenizer } from './train.js';
