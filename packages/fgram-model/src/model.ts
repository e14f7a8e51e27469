/** The f-gram model A over a forest, and the embeddings it gives. (SCONE, Alg. 1 and section 3) */
import { type Block, linear, norm, type Parameters, transformerBlock } from '@sconelm/decoder';
import { ancestorAttention, type HostTensor, hostTensor, sigmoid, type Tensor } from '@sconelm/tensor-webgpu';
import { type FgramModelConfig, RESIDUAL } from './config.js';
import type { BatchForest, Forest } from './forest.js';
import type { HostTable } from './host-table.js';

export type ForestTensors = {
  readonly nodeTokens: Tensor;
  /** The node's residual row; −1 where it has none. */
  readonly nodeIds: Tensor;
  readonly depths: Tensor;
  readonly ancestors: Tensor;
  readonly ends: Tensor;
  /** [N, d] the node's residual row itself, where these are in host memory. */
  readonly hostRows?: Tensor;
};

type ForestInputs = { readonly [K in keyof ForestTensors]: HostTensor };

/** A forest as inputs of a program. @param table the residual rows, where they are in host memory */
export function forestInputs(
  { tokens, ids, depths, ancestors, ends }: Forest,
  { residualRows = 0 }: FgramModelConfig,
  table?: HostTable,
): ForestInputs {
  return {
    ...(table === undefined ? {} : { hostRows: hostTensor(table.gather(ids), [ids.length, table.shape[1]]) }),
    nodeTokens: hostTensor(tokens),
    nodeIds: hostTensor(ids.map((id) => (id < residualRows ? id : -1))),
    depths: hostTensor(depths),
    ancestors: hostTensor(ancestors, [tokens.length, ancestors.length / tokens.length]),
    ends: hostTensor(ends),
  };
}

/** A batch's forest and positions as inputs of a program. */
export function batchInputs(
  forest: BatchForest,
  shape: readonly [B: number, T: number],
  config: FgramModelConfig,
  table?: HostTable,
): ForestInputs & { readonly baseTokens: HostTensor; readonly nodeOf: HostTensor } {
  return {
    ...forestInputs(forest, config, table),
    baseTokens: hostTensor(forest.baseTokens, shape),
    nodeOf: hostTensor(forest.nodeOf, shape),
  };
}

/** The residual row per node, zero where it has none; undefined in a model without. @returns [N, d] */
export function residualOf({ nodeIds, hostRows }: ForestTensors, p: Parameters, { residualRows }: FgramModelConfig): Tensor | undefined {
  if (hostRows !== undefined) return hostRows;
  return residualRows === undefined ? undefined : p(RESIDUAL).gatherRows(nodeIds);
}

/**
 * The row per node of the forest: what the f-gram model makes of it, and its residual row.
 * @param residual [N, d], as `residualOf` gives it: training asks for its gradient
 * @returns [N, d]
 */
export function fgramRows(
  x: ForestTensors,
  p: Parameters,
  config: FgramModelConfig,
  residual: Tensor | undefined = residualOf(x, p, config),
  block: Block = transformerBlock,
): Tensor {
  const rows = config.layers === 0 ? p('tok.weight').gatherRows(x.nodeTokens) : modelRows(x, p, config, block);
  return residual === undefined ? rows : rows.add(residual);
}

/** A's row per node, combined with the node's token. */
function modelRows({ nodeTokens, depths, ancestors, ends }: ForestTensors, p: Parameters, config: FgramModelConfig, block: Block): Tensor {
  const { layers, heads, unit, finalNorm, combine = 'replace', ownTable } = config;
  const input = p(ownTable ? 'fgram.tok.weight' : 'tok.weight')
    .gatherRows(nodeTokens)
    .add(p('fgram.pos.weight').gatherRows(depths))
    .mul(1 / unit);
  let x = input;
  for (let layer = 0; layer < layers; layer++) {
    x = block(x, p, `fgram.h.${layer}`, config, (qkv) =>
      // There is no f16 form: attention over a few ancestors is little work.
      ancestorAttention(qkv.cast('f32'), ancestors, ends, { heads }).cast(qkv.dtype),
    );
  }
  const gain = p('fgram.gain');
  if (finalNorm) return norm(x, p, 'fgram.lnf', config).mul(gain);
  if (combine === 'replace') return x.mul(gain.mul(unit));
  const token = p('tok.weight').gatherRows(nodeTokens);
  if (combine === 'add') return token.add(x.sub(input).mul(gain.mul(unit)));
  const gate = sigmoid(linear(x, p, 'fgram.gate'));
  return token.add(gate.mul(x.mul(gain.mul(unit)).sub(token)));
}

/**
 * e_i: the row of the longest f-gram that ends at i where there is one, else the token's embedding. It replaces; nothing is added.
 * @param rows [N, d] @param places `baseTokens` [B, T], −1 where matched, and `nodeOf` [B, T], −1 where not @returns [B, T, d]
 */
export function embed(
  rows: Tensor,
  { baseTokens, nodeOf }: { readonly baseTokens: Tensor; readonly nodeOf: Tensor },
  p: Parameters,
): Tensor {
  return p('tok.weight').gatherRows(baseTokens).add(rows.gatherRows(nodeOf));
}
