/** Causal self-attention over packed queries, keys and values: training (forward and backward without a [T, T] matrix) and decoding with a cache. */
import { ShapeError } from '../errors.js';
import { defineOp, type TensorType } from '../graph/op.js';
import { lowerCachedAttention } from '../kernels/attention/cached.js';
import { lowerCausalAttention } from '../kernels/attention/causal.js';
import { lowerCausalAttentionGrad } from '../kernels/attention/causal-gradient.js';
import { formatShape } from '../shape.js';
import { apply, applyAll, concat, expectDType, iota, type Tensor } from '../tensor.js';
import { softmax } from './activation.js';

export type AttentionAttributes = { readonly heads: number };

/** Stands for −∞ before a softmax: WGSL has no infinities. */
export const MASKED = -1e30;

export function expectPacked(op: string, qkv: TensorType, rank: number, heads: number): void {
  const width = qkv.shape.at(-1) ?? 0;
  if (qkv.shape.length !== rank || width % (3 * heads) !== 0)
    throw new ShapeError(
      `${op}: qkv is ${formatShape(qkv.shape)}, expected rank ${rank} and a last extent divisible by 3 · ${heads} heads`,
    );
}

/**
 * softmax(q kᵀ / √d, causal) v per head. [Vaswani et al., 2017; kernels after Dao et al., 2022]
 * @param qkv [B, T, 3D]: queries, keys, values; within each, head after head
 * @returns [B, T, D]
 * @throws {ShapeError} if 3D does not divide into the heads
 */
export function causalAttention(qkv: Tensor, { heads }: AttentionAttributes): Tensor {
  expectPacked('causalAttention', qkv, 3, heads);
  expectDType('causalAttention', { qkv }, 'f32');
  return applyAll(causalAttentionOp, [qkv], { heads })[0];
}

/** Operations of `products` matrix products over the keys that each query sees. */
function attentionProducts({ shape: [B, T, width] }: TensorType, products: number): number {
  return (products * 2 * B * T * (T + 1) * width) / 3 / 2;
}

/** [B, T, D] columns `part`·D.. of a packed tensor as [B, H, T, d]. */
function splitHeads(packed: Tensor, part: number, parts: number, heads: number): Tensor {
  const [B, T, width] = packed.shape;
  const D = width / parts;
  return packed
    .slice([0, 0, part * D], [B, T, D])
    .reshape([B, T, heads, D / heads])
    .transpose([0, 2, 1, 3]);
}

/** [B, H, T, d] as [B, T, D]. */
function mergeHeads(x: Tensor): Tensor {
  const [B, H, T, d] = x.shape;
  return x.transpose([0, 2, 1, 3]).reshape([B, T, H * d]);
}

function causalScores(q: Tensor, k: Tensor): Tensor {
  const scores = q.matmul(k, { transposeB: true }).mul(1 / Math.sqrt(q.shape[3]));
  const T = q.shape[2];
  return iota([T, T], 1)
    .lessEqual(iota([T, T], 0))
    .where(scores, MASKED);
}

/** Outputs: the result [B, T, D] and the log-sum-exp of the scaled scores [B, H, T]. */
export const causalAttentionOp = defineOp<AttentionAttributes>({
  name: 'causalAttention',
  kind: 'compute',
  infer: ([qkv], { heads }) => {
    const [B, T, width] = qkv.shape;
    return [
      { shape: [B, T, width / 3], dtype: 'f32' },
      { shape: [B, heads, T], dtype: 'f32' },
    ];
  },
  define: ([qkv], { heads }) => {
    const [q, k, v] = [0, 1, 2].map((part) => splitHeads(qkv, part, 3, heads));
    const scores = causalScores(q, k);
    const max = scores.max(-1, { keepDims: true });
    const e = scores.sub(max).exp();
    const sum = e.sum(-1, { keepDims: true });
    return [mergeHeads(e.div(sum).matmul(v)), sum.log().add(max).reshape(q.shape.slice(0, 3))];
  },
  gradient: ([dy], [qkv], { heads }, [y, logSumExp]) => [
    dy === undefined ? undefined : apply(causalAttentionGradOp, [dy, qkv, y, logSumExp], { heads }),
  ],
  flops: ([qkv]) => attentionProducts(qkv, 2),
  lower: lowerCausalAttention,
});

// With P = exp(S − lse), δ = Σ dy · y:  dv = Pᵀ dy;  dS = P · (dy vᵀ − δ) / √d;  dq = dS k;  dk = dSᵀ q   (Dao et al. 2022, Alg. 4)
export const causalAttentionGradOp = defineOp<AttentionAttributes>({
  name: 'causalAttentionGrad',
  kind: 'compute',
  infer: ([, qkv]) => [qkv],
  define: ([dy, qkv, y, logSumExp], { heads }) => {
    const [q, k, v] = [0, 1, 2].map((part) => splitHeads(qkv, part, 3, heads));
    const [dyHeads, yHeads] = [splitHeads(dy, 0, 1, heads), splitHeads(y, 0, 1, heads)];
    const probabilities = causalScores(q, k)
      .sub(logSumExp.reshape([...logSumExp.shape, 1]))
      .exp();
    const delta = dyHeads.mul(yHeads).sum(-1, { keepDims: true });
    const dScores = probabilities.mul(dyHeads.matmul(v, { transposeB: true }).sub(delta)).mul(1 / Math.sqrt(q.shape[3]));
    return [
      concat(
        [
          mergeHeads(dScores.matmul(k)),
          mergeHeads(dScores.matmul(q, { transposeA: true })),
          mergeHeads(probabilities.matmul(dyHeads, { transposeA: true })),
        ],
        2,
      ),
    ];
  },
  flops: ([, qkv]) => attentionProducts(qkv, 7),
  lower: lowerCausalAttentionGrad,
});

/**
 * Attention of T new tokens over `lengths[b]` cached ones and, causally, over themselves. The caller appends the new keys and values after.
 * @param qkv [B, T, 3D], the new tokens
 * @param keys [B, C, D]
 * @param values [B, C, D]
 * @param lengths [B] i32: rows of the cache in use
 * @returns [B, T, D]
 */
export function cachedAttention(qkv: Tensor, keys: Tensor, values: Tensor, lengths: Tensor, { heads }: AttentionAttributes): Tensor {
  expectPacked('cachedAttention', qkv, 3, heads);
  expectDType('cachedAttention', { qkv, keys, values }, 'f32');
  expectDType('cachedAttention', { lengths }, 'i32');
  return apply(cachedAttentionOp, [qkv, keys, values, lengths], { heads });
}

export const cachedAttentionOp = defineOp<AttentionAttributes>({
  name: 'cachedAttention',
  kind: 'compute',
  infer: ([qkv, keys, values, lengths]) => {
    const [B, T, width] = qkv.shape;
    const fits =
      [keys, values].every(({ shape }) => shape.length === 3 && shape[0] === B && shape[2] === width / 3) &&
      keys.shape[1] === values.shape[1] &&
      lengths.shape[0] === B;
    if (!fits)
      throw new ShapeError(
        `cachedAttention: qkv ${formatShape(qkv.shape)}, keys ${formatShape(keys.shape)}, values ${formatShape(values.shape)} and lengths ${formatShape(lengths.shape)} do not fit`,
      );
    return [{ shape: [B, T, width / 3], dtype: 'f32' }];
  },
  define: ([qkv, keys, values, lengths], { heads }) => {
    const [q, k, v] = [0, 1, 2].map((part) => splitHeads(qkv, part, 3, heads));
    const [B, C] = keys.shape;
    const T = qkv.shape[1];
    const scale = 1 / Math.sqrt(q.shape[3]);
    const cached = q.matmul(splitHeads(keys, 0, 1, heads), { transposeB: true }).mul(scale);
    const valid = iota([B, 1, T, C], 3).less(lengths.reshape([B, 1, 1, 1]));
    const scores = concat([valid.where(cached, MASKED), causalScores(q, k)], 3);
    return [mergeHeads(softmax(scores).matmul(concat([splitHeads(values, 0, 1, heads), v], 2)))];
  },
  lower: lowerCachedAttention,
});
