/** What a decoder costs: parameters on the accelerator and FLOPs. */
import type { ParameterShapes } from './block.js';
import type { DecoderConfig } from './config.js';

export function countParameters(shapes: ParameterShapes): number {
  return Object.values(shapes).reduce((sum, { shape }) => sum + shape.reduce((product, extent) => product * extent, 1), 0);
}

/** Multiply-adds count twice. Attention is counted at half the context, the mean over a window; the head is included. */
export function inferenceFlopsPerToken({ vocabSize, contextLength, layers, width }: DecoderConfig): number {
  return 2 * (layers * 12 * width * width + vocabSize * width) + layers * 2 * contextLength * width;
}
