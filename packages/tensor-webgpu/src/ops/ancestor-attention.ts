/**
 * Attention over a forest: each node attends to its chain of ancestors, itself included. With nodes in depth-first order the descendants of
 * node j are the range j..ends[j], so the backward sums run in one fixed order.
 */
import { ShapeError } from '../errors.js';
import { pullback } from '../graph/gradient.js';
import { defineOp, type Op } from '../graph/op.js';
import { lowerAncestorAttention } from '../kernels/attention/ancestor.js';
import { lowerAncestorAttentionGrad } from '../kernels/attention/ancestor-gradient.js';
import { expectShape, formatShape } from '../shape.js';
import { apply, applyAll, expectDType, type Tensor } from '../tensor.js';
import { type AttentionAttributes, expectPacked, MASKED } from './attention.js';

/**
 * softmax(q kᵀ / √d over the ancestors) v per head.
 * @param qkv [N, 3D]: queries, keys, values; within each, head after head
 * @param ancestors [N, K] i32: the nodes that node n attends to, itself included, in any order; −1 where there are fewer than K
 * @param ends [N] i32: one past the last descendant of each node; nodes n..ends[n] are node n and its descendants
 * @returns [N, D]
 */
export function ancestorAttention(qkv: Tensor, ancestors: Tensor, ends: Tensor, { heads }: AttentionAttributes): Tensor {
  expectPacked('ancestorAttention', qkv, 2, heads);
  if (ancestors.rank !== 2 || ancestors.shape[0] !== qkv.shape[0])
    throw new ShapeError(`ancestorAttention: ancestors are ${formatShape(ancestors.shape)}, expected [${qkv.shape[0]}, K]`);
  expectShape('ancestorAttention', { ends }, [qkv.shape[0]]);
  expectDType('ancestorAttention', { qkv }, 'f32');
  expectDType('ancestorAttention', { ancestors, ends }, 'i32');
  return applyAll(ancestorAttentionOp, [qkv, ancestors, ends], { heads })[0];
}

/** Outputs: the result [N, D] and the log-sum-exp of the scaled scores [N, H]. */
export const ancestorAttentionOp = defineOp<AttentionAttributes>({
  name: 'ancestorAttention',
  kind: 'compute',
  infer: ([qkv], { heads }) => [
    { shape: [qkv.shape[0], qkv.shape[1] / 3], dtype: 'f32' },
    { shape: [qkv.shape[0], heads], dtype: 'f32' },
  ],
  define: ([qkv, ancestors], { heads }) => {
    const [N, K] = ancestors.shape;
    const D = qkv.shape[1] / 3;
    const part = (index: number) => qkv.slice([0, index * D], [N, D]);
    const ofChain = (rows: Tensor) => rows.gatherRows(ancestors).reshape([N, K, heads, D / heads]);
    const q = part(0).reshape([N, 1, heads, D / heads]);
    const scores = q
      .mul(ofChain(part(1)))
      .sum(-1)
      .mul(1 / Math.sqrt(D / heads));
    const masked = ancestors.less(0).reshape([N, K, 1]).where(MASKED, scores);
    const max = masked.max(1, { keepDims: true });
    const e = masked.sub(max).exp();
    const sum = e.sum(1, { keepDims: true });
    const weights = e.div(sum).reshape([N, K, heads, 1]);
    return [
      weights
        .mul(ofChain(part(2)))
        .sum(1)
        .reshape([N, D]),
      sum.log().add(max).reshape([N, heads]),
    ];
  },
  gradient: ([dy], [qkv, ancestors, ends], { heads }, [y, logSumExp]) => [
    dy === undefined ? undefined : apply(ancestorAttentionGradOp, [dy, qkv, ancestors, ends, y, logSumExp], { heads }),
  ],
  lower: lowerAncestorAttention,
});

export const ancestorAttentionGradOp: Op<AttentionAttributes> = defineOp<AttentionAttributes>({
  name: 'ancestorAttentionGrad',
  kind: 'compute',
  infer: ([, qkv]) => [qkv],
  define: ([dy, qkv, ancestors, ends], { heads }) => {
    const y = ancestorAttentionOp.define?.([qkv, ancestors, ends], { heads })[0];
    if (y === undefined) throw new Error('unreachable: the op has a definition');
    return pullback([y], [dy], [qkv]).filter((gradient) => gradient !== undefined);
  },
  lower: lowerAncestorAttentionGrad,
});
