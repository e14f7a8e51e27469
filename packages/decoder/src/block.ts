/** The transformer block of both models, from GPT-2's [Radford et al., 2019] to Llama's [Touvron et al., 2023], as its configuration says. */
import { checkpoint, concat, fill, gelu, iota, layerNorm, rmsNorm, type Shape, silu, type Tensor, zeros } from '@sconelm/tensor-webgpu';
import { type BlockConfig, completeBlock } from './config.js';
import { type Rotation, rotateHeads } from './rotary.js';

/** Parameter shapes by name, in the order of the checkpoint. */
export type ParameterShapes = Readonly<Record<string, { readonly shape: Shape }>>;

/** Gives the tensor of a parameter. */
export type Parameters = (name: string) => Tensor;

/**
 * The parameters of block `prefix`. Weights are [in, out]; the columns of `attn.qkv` are queries, keys, values, those of a SwiGLU's `mlp.up`
 * gate and up.
 */
export function blockShapes(prefix: string, config: BlockConfig): ParameterShapes {
  const { width, heads, keyValueHeads, headDim, queryKeyNorm, attentionBias, mlp, mlpWidth, mlpBias } = completeBlock(config);
  const [queries, keys] = [heads * headDim, keyValueHeads * headDim];
  const upWidth = mlp === 'swiglu' ? 2 * mlpWidth : mlpWidth;
  return {
    ...normShapes(`${prefix}.ln1`, config),
    ...linearShapes(`${prefix}.attn.qkv`, [width, queries + 2 * keys], attentionBias !== 'none'),
    ...(queryKeyNorm !== undefined && {
      [`${prefix}.attn.qnorm.weight`]: { shape: [queryKeyNorm === 'head' ? headDim : queries] },
      [`${prefix}.attn.knorm.weight`]: { shape: [queryKeyNorm === 'head' ? headDim : keys] },
    }),
    ...linearShapes(`${prefix}.attn.proj`, [queries, width], attentionBias === 'all'),
    ...normShapes(`${prefix}.ln2`, config),
    ...linearShapes(`${prefix}.mlp.up`, [width, upWidth], mlpBias),
    ...linearShapes(`${prefix}.mlp.down`, [mlpWidth, width], mlpBias),
  };
}

/** The parameters of a norm over the residual stream. */
export function normShapes(name: string, { width, norm = 'layer' }: BlockConfig): ParameterShapes {
  return {
    ...(norm !== 'plain' && { [`${name}.weight`]: { shape: [width] } }),
    ...(norm === 'layer' && { [`${name}.bias`]: { shape: [width] } }),
  };
}

function linearShapes(name: string, shape: Shape, bias: boolean): ParameterShapes {
  return { [`${name}.weight`]: { shape }, ...(bias && { [`${name}.bias`]: { shape: [shape[1]] } }) };
}

/** y = x W + b; x [N, in]. */
export function linear(x: Tensor, p: Parameters, name: string, bias = true): Tensor {
  const y = x.matmul(p(`${name}.weight`));
  return bias ? y.add(p(`${name}.bias`)) : y;
}

/** The norm of the residual stream. @param x [N, D] */
export function norm(x: Tensor, p: Parameters, name: string, config: BlockConfig): Tensor {
  const { width, norm: kind, normEps: eps } = completeBlock(config);
  if (kind === 'rms') return rmsNorm(x, p(`${name}.weight`), { eps });
  if (kind === 'plain') return layerNorm(x, fill([width], 1), zeros([width]), { eps });
  return layerNorm(x, p(`${name}.weight`), p(`${name}.bias`), { eps });
}

/**
 * One block over rows x [N, D].
 * @param attend [N, (H + 2G)·d] packed queries, keys, values -> [N, H·d]
 * @param rotation of the T positions that follow one another in x, N a multiple of T; none where positions are learned
 */
export function transformerBlock(
  x: Tensor,
  p: Parameters,
  prefix: string,
  config: BlockConfig,
  attend: (qkv: Tensor) => Tensor,
  rotation?: Rotation,
): Tensor {
  const { attentionBias, mlp, mlpWidth, mlpBias, normAfter } = completeBlock(config);
  const attention = (h: Tensor) => {
    const qkv = linear(h, p, `${prefix}.attn.qkv`, attentionBias !== 'none');
    return linear(attend(placeQueriesAndKeys(qkv, p, prefix, config, rotation)), p, `${prefix}.attn.proj`, attentionBias === 'all');
  };
  const feedForward = (h: Tensor) => {
    const up = linear(h, p, `${prefix}.mlp.up`, mlpBias);
    if (mlp === 'gelu') return linear(gelu(up), p, `${prefix}.mlp.down`, mlpBias);
    const [gate, value] = up.split([mlpWidth, mlpWidth], 1);
    return linear(silu(gate).mul(value), p, `${prefix}.mlp.down`, mlpBias);
  };
  const addBranch = (stream: Tensor, branch: (h: Tensor) => Tensor, name: string) =>
    stream.add(normAfter ? norm(branch(stream), p, name, config) : branch(norm(stream, p, name, config)));
  return addBranch(addBranch(x, attention, `${prefix}.ln1`), feedForward, `${prefix}.ln2`);
}

/** A transformer block as a function: `transformerBlock`, or one that is computed in another way. */
export type Block = typeof transformerBlock;

/** `transformerBlock`, computed again in the backward pass instead of kept for it: only its input is. [Chen et al., 2016] */
export const recomputedBlock: Block = (x, p, prefix, config, attend, rotation) => {
  const names = Object.keys(blockShapes(prefix, config));
  const [y] = checkpoint([x, ...names.map(p)], (input, ...parameters) => {
    const byName = new Map(names.map((name, i) => [name, parameters[i]]));
    return [transformerBlock(input, (name) => byName.get(name) ?? p(name), prefix, config, attend, rotation)];
  });
  return y;
};

/** Clamps, normalises and rotates as configured; in GPT-2 nothing is to be done. @param qkv [N, (H + 2G)·d] */
function placeQueriesAndKeys(qkv: Tensor, p: Parameters, prefix: string, config: BlockConfig, rotation: Rotation | undefined): Tensor {
  const { heads, keyValueHeads, headDim, queryKeyNorm, normEps: eps, clipQkv } = completeBlock(config);
  const clipped = clipQkv === undefined ? qkv : qkv.clamp(-clipQkv, clipQkv);
  if (queryKeyNorm === undefined && rotation === undefined) return clipped;
  const [queryWeight, keyWeight] = ['qnorm', 'knorm'].map((name) => () => p(`${prefix}.attn.${name}.weight`));
  const normedTogether = () => {
    const [queries, keys, values] = clipped.split([heads * headDim, keyValueHeads * headDim, keyValueHeads * headDim], 1);
    return concat([rmsNorm(queries, queryWeight(), { eps }), rmsNorm(keys, keyWeight(), { eps }), values], 1);
  };
  const packed = queryKeyNorm === 'all' ? normedTogether() : clipped;
  const placed = heads + keyValueHeads;
  const x = packed.reshape([qkv.shape[0], placed + keyValueHeads, headDim]);
  const normed = queryKeyNorm === 'head' ? normHeads(x, queryWeight(), keyWeight(), { heads, placed, eps }) : x;
  return (rotation === undefined ? normed : rotateHeads(normed, placed, rotation)).reshape(qkv.shape);
}

/** RMS norm of each head of queries, then keys; heads from `placed` on are left as they are. @param x [N, H + 2G, d] */
function normHeads(
  x: Tensor,
  queryWeight: Tensor,
  keyWeight: Tensor,
  { heads, placed, eps }: { readonly heads: number; readonly placed: number; readonly eps: number },
): Tensor {
  const [, count, headDim] = x.shape;
  const head = iota([count, 1], 0);
  const weighted = rmsNorm(x, fill([headDim], 1), { eps }).mul(head.less(heads).where(queryWeight, keyWeight));
  return head.less(placed).where(weighted, x);
}
