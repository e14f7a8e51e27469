/** How a run is trained: one flat declaration, for the command line, for config.json, and to tell whether a resumed run is the same. */
import { z } from 'zod';

export const modelFields = {
  layers: z.int().positive().default(2).describe('decoder layers'),
  width: z.int().positive().default(64).describe('decoder width, d'),
  heads: z.int().positive().default(2).describe('attention heads'),
  contextLength: z.int().positive().default(128).describe('tokens per window, T'),
  plain: z.boolean().default(false).describe('a decoder without f-grams'),
  fgramLayers: z.int().positive().default(2).describe('layers of the f-gram model'),
  rows: z
    .enum(['model', 'table', 'residual'])
    .default('model')
    .describe('what rows are made of: the f-gram model, a plain trainable table, or the sum of both'),
  tableRows: z.int().positive().optional().describe('the table has rows for so many f-grams, the most frequent (default: all)'),
  combine: z
    .enum(['replace', 'add', 'gated'])
    .default('replace')
    .describe('the f-gram model’s output replaces the token’s embedding, is added to it, or is mixed with it by a gate'),
  fgramTable: z
    .enum(['shared', 'own'])
    .default('shared')
    .describe('the token table that the f-gram model reads: the decoder’s, or its own'),
  unit: z.number().positive().default(0.03).describe('unit of the f-gram model, about a third of the token table’s deviation'),
};

export const trainingSchema = z.strictObject({
  tokens: z.int().positive().default(1_000_000).describe('training tokens in all'),
  batch: z.int().positive().default(4).describe('windows per step'),
  learningRate: z.number().positive().default(6e-3).describe('peak of the cosine schedule'),
  fgramRate: z.number().positive().default(0.5).describe('the f-gram model’s learning rate as a share of it'),
  tableRate: z.number().positive().default(3).describe('the table of rows’ learning rate as a share of it'),
  fgramDropout: z.number().min(0).lt(1).default(0).describe('probability that a position’s f-gram is left out'),
  weightDecay: z.number().nonnegative().default(0.1).describe('on matrices'),
  initScale: z.number().positive().default(0.1).describe('deviation of initial weights, about 1/√width'),
  seed: z
    .int()
    .nonnegative()
    .max(2 ** 31)
    .default(1)
    .describe('initial weights and order of windows'),
});

export type TrainingConfig = z.output<typeof trainingSchema>;

/** Whole steps that cover `tokens`. */
export function stepsOf({ tokens, batch }: TrainingConfig, contextLength: number): number {
  return Math.max(1, Math.round(tokens / (batch * contextLength)));
}
