/** The decoder as pure functions over symbolic tensors: training, evaluation and inference share them. (SCONE, Alg. 4) */
import { causalAttention, crossEntropy, type Tensor, tensor } from '@sconelm/tensor-webgpu';
import { type Block, blockShapes, norm, normShapes, type ParameterShapes, type Parameters, transformerBlock } from './block.js';
import { completeBlock, type DecoderConfig } from './config.js';
import { normal, seedFor } from './random.js';
import { type Rotation, rotationInputs } from './rotary.js';

/** Shapes of a decoder's parameters, in the order of its checkpoint. */
export function decoderShapes(config: DecoderConfig): ParameterShapes {
  const { vocabSize, contextLength, layers, width, rotary, tiedHead = true } = config;
  const blocks = Array.from({ length: layers }, (_, i) => blockShapes(`h.${i}`, config));
  return {
    'tok.weight': { shape: [vocabSize, width] },
    ...(rotary === undefined && { 'pos.weight': { shape: [contextLength, width] } }),
    ...Object.assign({}, ...blocks),
    ...normShapes('lnf', config),
    ...(!tiedHead && { 'head.weight': { shape: [vocabSize, width] } }),
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

/**
 * All blocks and the final norm. @param x [N, D], positions added where they are learned
 * @param attend [N, (H + 2G)·d] queries, keys and values of a layer -> [N, H·d]
 */
export function decoderTrunk(
  x: Tensor,
  p: Parameters,
  config: DecoderConfig,
  attend: (qkv: Tensor, layer: number) => Tensor,
  rotation?: Rotation,
  block: Block = transformerBlock,
): Tensor {
  let hidden = x;
  for (let layer = 0; layer < config.layers; layer++)
    hidden = block(hidden, p, `h.${layer}`, config, (qkv) => attend(qkv, layer), rotation);
  return norm(hidden, p, 'lnf', config);
}

/** Hidden states after the final norm. @param embeddings [B, T, D] without positions @returns [B·T, D] */
export function decoderHidden(embeddings: Tensor, p: Parameters, config: DecoderConfig, block?: Block): Tensor {
  const [B, T, D] = embeddings.shape;
  const { heads, rotary } = config;
  const { keyValueHeads, headDim } = completeBlock(config);
  const attend = (qkv: Tensor) =>
    causalAttention(qkv.reshape([B, T, qkv.shape[1]]), { heads, keyValueHeads }).reshape([B * T, heads * headDim]);
  if (rotary === undefined) {
    const positions = p('pos.weight').slice([0, 0], [T, D]);
    return decoderTrunk(embeddings.add(positions).reshape([B * T, D]), p, config, attend, undefined, block);
  }
  const { cos, sin } = rotationInputs(
    rotary,
    headDim,
    Int32Array.from({ length: T }, (_, t) => t),
  );
  const rotation = { cos: tensor(cos.data, cos.shape), sin: tensor(sin.data, sin.shape) };
  return decoderTrunk(embeddings.reshape([B * T, D]), p, config, attend, rotation, block);
}

/** Logits over the vocabulary. @param hidden [N, D] @returns [N, V] */
export function decoderLogits(hidden: Tensor, p: Parameters, { tiedHead = true }: Pick<DecoderConfig, 'tiedHead'> = {}): Tensor {
  return hidden.matmul(p(tiedHead ? 'tok.weight' : 'head.weight'), { transposeB: true });
}

/** Cross-entropy of each target in nats. @param embeddings [B, T, D] @param targets [B, T] i32 @returns [B·T] */
export function decoderLosses(embeddings: Tensor, targets: Tensor, p: Parameters, config: DecoderConfig, block?: Block): Tensor {
  return crossEntropy(decoderLogits(decoderHidden(embeddings, p, config, block), p, config), targets.reshape([targets.size]));
}
