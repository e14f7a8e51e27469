/** What is measured of a run: quality on held-out text, what inference and training cost, a sample. */
import { countParameters, decoderShapes, inferenceFlopsPerToken, modelCost } from '@sconelm/decoder';
import { type Evaluation, fgramShapes, type ModelConfig } from '@sconelm/fgram-model';
import { z } from 'zod';

const modelSummaryFields = {
  perplexity: z.number(),
  /** Nats per token. */
  loss: z.number(),
  bitsPerByte: z.number(),
  flopsPerToken: z.number(),
  acceleratorParams: z.int(),
  trainingTokens: z.int(),
  trainingFlops: z.number(),
  /** Median of decoding one token at a time. */
  msPerToken: z.number(),
};

export const modelSummarySchema = z.strictObject(modelSummaryFields);
export type ModelSummary = z.infer<typeof modelSummarySchema>;

/** evaluation.json */
export const runEvaluationSchema = z.strictObject({
  ...modelSummaryFields,
  /** Held-out tokens. */
  tokens: z.int(),
  /** What matched positions were embedded by. */
  through: z.enum(['tokens', 'store', 'model']),
  store: z.strictObject({ rows: z.int(), rowBytes: z.int(), dtype: z.string() }).optional(),
  /** Per match length (1: none): positions, and the sum of the losses there. */
  byLength: z.record(z.string(), z.strictObject({ count: z.int(), loss: z.number() })),
  /** The same by the count of the f-gram in the training text; only where f-grams were given. */
  byCount: z.record(z.string(), z.strictObject({ count: z.int(), loss: z.number() })).optional(),
  /** With strided windows: how far they move, and each document's tokens, loss in nats per token, and bits per byte. */
  stride: z.int().optional(),
  documents: z.array(z.strictObject({ tokens: z.int(), loss: z.number(), bitsPerByte: z.number() })).optional(),
  sample: z.array(z.strictObject({ text: z.string(), length: z.int() })),
});
export type RunEvaluation = z.infer<typeof runEvaluationSchema>;

export interface Measured {
  readonly config: ModelConfig;
  readonly evaluation: Evaluation;
  readonly bytesPerToken: number;
  readonly trainingTokens: number;
  /** Forest nodes computed in training. */
  readonly nodes: number;
  readonly msPerToken: number;
}

/** Forward FLOPs of one node of the f-gram model; multiply-adds count twice. */
function flopsPerNode({ decoder, fgram }: ModelConfig): number {
  if (fgram === undefined) return 0;
  const cost = modelCost({ decoder, fgram: { shapes: fgramShapes(fgram, decoder.vocabSize), nodesPerToken: 1 } });
  return cost.trainingFlopsPerToken / 3 - cost.inferenceFlopsPerToken;
}

/** A backward pass counts as two forward passes. @param spent training tokens, and forest nodes computed for them */
export function trainingFlops(config: ModelConfig, { tokens, nodes }: { readonly tokens: number; readonly nodes: number }): number {
  return 3 * (inferenceFlopsPerToken(config.decoder) * tokens + flopsPerNode(config) * nodes);
}

export function summarize({ config, evaluation, bytesPerToken, trainingTokens, nodes, msPerToken }: Measured): ModelSummary {
  const flopsPerToken = inferenceFlopsPerToken(config.decoder);
  return {
    perplexity: Math.exp(evaluation.loss),
    loss: evaluation.loss,
    bitsPerByte: evaluation.loss / Math.LN2 / bytesPerToken,
    flopsPerToken,
    acceleratorParams: countParameters(decoderShapes(config.decoder)),
    trainingTokens,
    trainingFlops: trainingFlops(config, { tokens: trainingTokens, nodes }),
    msPerToken,
  };
}

/** Share of positions where an f-gram ends. */
export function hitRateOf({ tokens, byLength }: Pick<RunEvaluation, 'tokens' | 'byLength'>): number {
  return 1 - (byLength['1']?.count ?? 0) / tokens;
}
