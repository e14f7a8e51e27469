/** The f-gram model A over a forest, and the embeddings it gives. (SCONE, Alg. 1 and section 3) */
import { norm, type Parameters, transformerBlock } from '@sconelm/decoder';
import { ancestorAttention, type HostTensor, hostTensor, type Tensor } from '@sconelm/tensor-webgpu';
import type { FgramModelConfig } from './config.js';
import type { BatchForest, Forest } from './forest.js';

export type ForestTensors = {
  readonly nodeTokens: Tensor;
  readonly depths: Tensor;
  readonly ancestors: Tensor;
  readonly ends: Tensor;
};

/** A forest as inputs of a program. */
export function forestInputs({ tokens, depths, ancestors, ends }: Forest): { readonly [K in keyof ForestTensors]: HostTensor } {
  return {
    nodeTokens: hostTensor(tokens),
    depths: hostTensor(depths),
    ancestors: hostTensor(ancestors, [tokens.length, ancestors.length / tokens.length]),
    ends: hostTensor(ends),
  };
}

/** A batch's forest and positions as inputs of a program. */
export function batchInputs(
  forest: BatchForest,
  shape: readonly [B: number, T: number],
): ReturnType<typeof forestInputs> & { readonly baseTokens: HostTensor; readonly nodeOf: HostTensor } {
  return { ...forestInputs(forest), baseTokens: hostTensor(forest.baseTokens, shape), nodeOf: hostTensor(forest.nodeOf, shape) };
}

/** A's row per node of the forest. @returns [N, d] */
export function fgramRows(
  { nodeTokens, depths, ancestors, ends }: ForestTensors,
  p: Parameters,
  { layers, heads, unit, finalNorm }: FgramModelConfig,
): Tensor {
  let x = p('tok.weight')
    .gatherRows(nodeTokens)
    .add(p('fgram.pos.weight').gatherRows(depths))
    .mul(1 / unit);
  for (let layer = 0; layer < layers; layer++) {
    x = transformerBlock(x, p, `fgram.h.${layer}`, (qkv) => ancestorAttention(qkv, ancestors, ends, { heads }));
  }
  return finalNorm ? norm(x, p, 'fgram.lnf').mul(p('fgram.gain')) : x.mul(p('fgram.gain').mul(unit));
}

/**
 * e_i: the row of the longest f-gram that ends at i where there is one, else the token's embedding. It replaces; nothing is added.
 * @param rows [N, d] @param baseTokens [B, T] −1 where matched @param nodeOf [B, T] −1 where not @returns [B, T, d]
 */
export function embed(
  rows: Tensor,
  { baseTokens, nodeOf }: { readonly baseTokens: Tensor; readonly nodeOf: Tensor },
  p: Parameters,
): Tensor {
  return p('tok.weight').gatherRows(baseTokens).add(rows.gatherRows(nodeOf));
}
