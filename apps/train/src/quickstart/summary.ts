/** What the quickstart measured, as data. */
import { countParameters, type DecoderConfig, decoderShapes, inferenceFlopsPerToken } from '@sconelm/decoder';
import type { Evaluation } from '../evaluate.js';
import type { ModelConfig } from '../model.js';

export interface ModelSummary {
  readonly perplexity: number;
  /** Nats per token. */
  readonly loss: number;
  readonly bitsPerByte: number;
  readonly flopsPerToken: number;
  readonly acceleratorParams: number;
  readonly trainingTokens: number;
  readonly trainingFlops: number;
  readonly msPerToken: number;
}

export interface Summary {
  readonly baseline: ModelSummary;
  readonly larger: ModelSummary;
  readonly scone: ModelSummary & {
    readonly rows: number;
    readonly storeBytes: number;
    readonly rowBytes: number;
    readonly hitRate: number;
  };
  readonly seed: number;
  readonly adapter: string;
  readonly seconds: number;
}

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
function flopsPerNode({ fgram }: ModelConfig): number {
  return fgram === undefined ? 0 : fgram.layers * 24 * fgram.width ** 2;
}

/** Training counts a backward pass as two forward passes. */
export function summarize({ config, evaluation, bytesPerToken, trainingTokens, nodes, msPerToken }: Measured): ModelSummary {
  const decoder: DecoderConfig = config.decoder;
  const flopsPerToken = inferenceFlopsPerToken(decoder);
  return {
    perplexity: Math.exp(evaluation.loss),
    loss: evaluation.loss,
    bitsPerByte: evaluation.loss / Math.LN2 / bytesPerToken,
    flopsPerToken,
    acceleratorParams: countParameters(decoderShapes(decoder)),
    trainingTokens,
    trainingFlops: 3 * (flopsPerToken * trainingTokens + flopsPerNode(config) * nodes),
    msPerToken,
  };
}
