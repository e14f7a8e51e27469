/** The quickstart's three models and their training, scaled by a budget of minutes. */
import type { ModelConfig } from '@sconelm/fgram-model';
import { type TrainingConfig, trainingSchema } from '../run/training-config.js';

export const VOCABULARY = 1024;
export const FGRAMS = { maxLength: 4, minCount: 5, maxFgrams: 100_000 };
/** Training tokens per minute of budget: what two cores without a GPU do for all three models, preparation and evaluation apart. */
const TOKENS_PER_MINUTE = 200_000;
/** Fewer steps than this would show nothing but the warm-up. */
const MIN_STEPS = 20;

const decoder = { vocabSize: VOCABULARY, contextLength: 128, layers: 2, width: 64, heads: 2 };

export const MODELS = {
  baseline: { decoder },
  scone: { decoder, fgram: { maxLength: FGRAMS.maxLength, layers: 2, width: 64, heads: 2, unit: 0.03, finalNorm: false } },
  larger: { decoder: { ...decoder, width: 96, heads: 3 } },
} as const satisfies Record<string, ModelConfig>;

export type ModelName = keyof typeof MODELS;
export const NAMES = Object.keys(MODELS) as ModelName[];

/** The same tokens in the same order for every model. */
export function trainingOf({ budget, seed }: { readonly budget: number; readonly seed: number }): TrainingConfig {
  const training = trainingSchema.parse({ seed });
  const step = training.batch * decoder.contextLength;
  return { ...training, tokens: Math.max(MIN_STEPS, Math.round((budget * TOKENS_PER_MINUTE) / step)) * step };
}
