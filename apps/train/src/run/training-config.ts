/** How a run is trained: one flat declaration, for the command line, for config.json, and to tell whether a resumed run is the same. */
import { z } from 'zod';

export const modelFields = {
  preset: z.string().optional().describe('sizes by name, such as gpt2-124M or smollm2-135M, in the place of the next four'),
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
  unit: z
    .number()
    .positive()
    .optional()
    .describe('unit of the f-gram model, about a third of the token table’s deviation (default: 0.03; with --from, measured)'),
};

export const trainingSchema = z.strictObject({
  from: z.string().optional().describe('a pretrained decoder to begin with: a folder in Hugging Face’s form, or a name on the hub'),
  freezeMain: z.boolean().default(false).describe('leave the decoder as it is: train the f-gram model and rows only'),
  tokens: z.int().positive().optional().describe('training tokens in all (without any limit: 1,000,000)'),
  flops: z.number().positive().optional().describe('training FLOPs in all; of several limits the nearest counts'),
  minutes: z.number().positive().optional().describe('minutes of training in all'),
  batch: z.int().positive().default(4).describe('windows per step'),
  microBatch: z
    .union([z.int().positive(), z.literal('auto')])
    .optional()
    .describe('windows at a time; the gradients of a batch are summed (default: the batch; auto: as many as the adapter takes)'),
  recompute: z.boolean().default(false).describe('compute blocks again in the backward pass instead of keeping their values: less memory'),
  precision: z.enum(['f32', 'mixed']).default('f32').describe('mixed: passes in f16, parameters and sums in f32, the loss scaled'),
  learningRate: z.number().positive().default(6e-3).describe('peak of the schedule'),
  schedule: z.enum(['cosine', 'wsd']).default('cosine').describe('down to a tenth by a cosine; or a plateau, then down to zero'),
  warmup: z.number().min(0).lt(1).default(0.05).describe('share of the run in which the rate rises'),
  decay: z.number().min(0).max(1).default(0.2).describe('of wsd: share of the run in which it falls'),
  fgramRate: z.number().positive().default(0.5).describe('the f-gram model’s learning rate as a share of it'),
  tableRate: z.number().positive().default(3).describe('the table of rows’ learning rate as a share of it'),
  residualRows: z
    .enum(['device', 'host'])
    .default('device')
    .describe('where the table of rows and its optimiser’s state are; host: only rows that are touched travel, for sets of millions'),
  fgramDropout: z.number().min(0).lt(1).default(0).describe('probability that a position’s f-gram is left out'),
  weightDecay: z.number().nonnegative().default(0.1).describe('on matrices'),
  initScale: z.number().positive().default(0.1).describe('deviation of initial weights, about 1/√width'),
  seed: z
    .int()
    .nonnegative()
    .max(2 ** 31)
    .default(1)
    .describe('initial weights and order of windows'),
  evaluateEvery: z.int().nonnegative().default(0).describe('steps from one held-out loss to the next, and one at the end; 0: none'),
  evaluateTokens: z.int().positive().default(65_536).describe('held-out tokens of these'),
  sampleEvery: z.int().nonnegative().default(0).describe('steps from one sample of text to the next; 0: none'),
  keep: z.int().positive().default(2).describe('newest checkpoints that are kept, besides the one of least held-out loss'),
  onBadStep: z.enum(['stop', 'skip']).default('stop').describe('a loss that is no number, or a spike: stop, or leave the step out'),
  spike: z.number().positive().optional().describe('a loss so many nats above its running mean is a spike'),
});

/** Without any limit. */
export const DEFAULT_TOKENS = 1_000_000;

export type TrainingConfig = z.output<typeof trainingSchema>;
