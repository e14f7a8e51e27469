/** A prompt as the model reads it. */
import type { Tokenizer } from '@sconelm/ngram-miner/tokenizer';
import { InferError } from '../errors.js';

/** The token that opens a text, then the prompt's. @returns fewer tokens than the context has @throws {InferError} PROMPT */
export function promptTokens(tokenizer: Tokenizer, prompt: string, contextLength: number): number[] {
  const tokens = [tokenizer.endOfText, ...tokenizer.encode(prompt)];
  if (tokens.length < contextLength) return tokens;
  throw new InferError('PROMPT', `the prompt has ${tokens.length} tokens, the context ${contextLength}`, 'Use a shorter prompt.');
}
