/** The quickstart's three models and their training, scaled by a budget of minutes. */
import type { ModelConfig } from '../model.js';

export interface QuickstartConfig {
  /** Minutes on two cores without a GPU; training tokens are proportional to it. */
  readonly budget: number;
  readonly seed: number;
}

export const VOCABULARY = 1024;
export const FGRAMS = { maxLength: 4, minCount: 5, maxFgrams: 100_000 };
/** Windows per step. */
export const BATCH = 4;
export const LEARNING_RATE = 6e-3;

const decoder = { vocabSize: VOCABULARY, contextLength: 128, layers: 2, width: 64, heads: 2 };

export const MODELS = {
  baseline: { decoder },
  scone: { decoder, fgram: { maxLength: FGRAMS.maxLength, layers: 2, width: 64, heads: 2, unit: 0.03, finalNorm: false } },
  larger: { decoder: { ...decoder, layers: 3, width: 96 } },
} as const satisfies Record<string, ModelConfig>;

export type ModelName = keyof typeof MODELS;

/** Steps of each model: the same tokens in the same order for all. */
export function stepsFor(budget: number): number {
  const tokensPerMinute = 200_000;
  return Math.max(20, Math.round((budget * tokensPerMinute) / (BATCH * decoder.contextLength)));
}
