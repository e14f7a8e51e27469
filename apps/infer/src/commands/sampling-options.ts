/** How tokens are chosen, as commands take it. */
import { z } from 'zod';

export const samplingOptions = {
  temperature: z.number().nonnegative().default(0.8).describe('0 is greedy'),
  topK: z.int().positive().optional().describe('only the k most likely tokens'),
  topP: z.number().positive().max(1).default(1).describe('only the most likely tokens of this mass'),
  minP: z.number().min(0).max(1).default(0).describe('only tokens at least so many times as likely as the most likely one'),
  repetitionPenalty: z.number().positive().default(1).describe('divides positive logits of tokens that occurred'),
  presencePenalty: z.number().default(0).describe('taken from the logit of every generated token'),
  frequencyPenalty: z.number().default(0).describe('taken from a token’s logit each time it was generated'),
  stop: z.array(z.string().min(1)).default([]).describe('the text ends before the first of these'),
  seed: z.int().nonnegative().default(0).describe('the same seed gives the same text'),
};
