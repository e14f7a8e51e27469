export { MinerError, type MinerErrorCode } from '../errors.js';
export { TokenList } from './token-list.js';
export { Tokenizer, type TokenizerOptions } from './tokenizer.js';
export type { AddedToken, Component, TokenizerJson } from './tokenizer-json.js';
export { type TrainTokenizerOptions, trainTokenizer } from './train.js';
