/** The decoder as pure functions over symbolic tensors: training, evaluation and inference share them. (SCONE, Alg. 4) */
import { causalAttention, crossEntropy, type Tensor } from '@sconelm/tensor-webgpu';
import { blockShapes, norm, type ParameterShapes, type Parameters, transformerBlock } from './block.js';
import type { DecoderConfig } from './config.js';
import { normal, seedFor } from './random.js';

/** Shapes of a decoder's parameters, in the order of its checkpoint. */
export function decoderShapes({ vocabSize, contextLength, layers, width }: DecoderConfig): ParameterShapes {
  const blocks = Array.from({ length: layers }, (_, i) => blockShapes(`h.${i}`, width));
  return {
    'tok.weight': { shape: [vocabSize, width] },
    'pos.weight': { shape: [contextLength, width] },
    ...Object.assign({}, ...blocks),
    'lnf.weight': { shape: [width] },
    'lnf.bias': { shape: [width] },
  };
}

/**
 * Initial values: weights N(0, scale), projections that end a residual branch scaled by 1/√(2 layers), norms one, biases zero.
 * @param scale about 1/√width; GPT-2's 0.02 is right from width 512 on
 */
export function initialValues(
  shapes: ParameterShapes,
  { layers, seed, scale }: { layers: number; seed: number; scale: number },
): Map<string, Float32Array<ArrayBuffer>> {
  const branchScale = scale / Math.sqrt(2 * layers);
  const values = new Map<string, Float32Array<ArrayBuffer>>();
  for (const [name, { shape }] of Object.entries(shapes)) {
    const data = new Float32Array(shape.reduce((product, extent) => product * extent, 1));
    if (shape.length === 1) {
      if (!name.endsWith('bias')) data.fill(1);
    } else {
      const deviation = name.endsWith('attn.proj.weight') || name.endsWith('mlp.down.weight') ? branchScale : scale;
      const own = seedFor(seed, name);
      for (let i = 0; i < data.length; i++) data[i] = deviation * normal(own, i);
    }
    values.set(name, data);
  }
  return values;
}

/** Hidden states after the final norm. @param embeddings [B, T, d] without positions @returns [B·T, d] */
export function decoderHidden(embeddings: Tensor, p: Parameters, { layers, heads }: DecoderConfig): Tensor {
  const [B, T, d] = embeddings.shape;
  const positions = p('pos.weight').slice([0, 0], [T, d]);
  let x = embeddings.add(positions).reshape([B * T, d]);
  for (let layer = 0; layer < layers; layer++) {
    x = transformerBlock(x, p, `h.${layer}`, (qkv) => causalAttention(qkv.reshape([B, T, 3 * d]), { heads }).reshape([B * T, d]));
  }
  return norm(x, p, 'lnf');
}

/** Logits over the vocabulary, by the tied head. @param hidden [N, d] @returns [N, V] */
export function decoderLogits(hidden: Tensor, p: Parameters): Tensor {
  return hidden.matmul(p('tok.weight'), { transposeB: true });
}

/** Cross-entropy of each target in nats. @param embeddings [B, T, d] @param targets [B, T] i32 @returns [B·T] */
export function decoderLosses(embeddings: Tensor, targets: Tensor, p: Parameters, config: DecoderConfig): Tensor {
  return crossEntropy(decoderLogits(decoderHidden(embeddings, p, config), p), targets.reshape([targets.size]));
}
