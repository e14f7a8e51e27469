/** Causal self-attention over packed queries, keys and values: training (forward and backward without a [T, T] matrix) and decoding with a cache. */
import { ShapeError } from '../errors.js';
import { defineOp, type TensorType } from '../graph/op.js';
import { lowerCachedAttention } from '../kernels/attention/cached.js';
import { lowerCausalAttention } from '../kernels/attention/causal.js';
import { lowerCausalAttentionGrad } from '../kernels/attention/causal-gradient.js';
import { expectShape, formatShape } from '../shape.js';
import { apply, applyAll, concat, expectDType, expectFloat, iota, type Tensor } from '../tensor.js';
import { softmax } from './softmax.js';

export type AttentionAttributes = { readonly heads: number };

export interface AttentionOptions {
  /** Heads of queries, H. */
  readonly heads: number;
  /** Heads of keys and values, G, a divisor of H; each serves H / G heads of queries. [Ainslie et al., 2023] */
  readonly keyValueHeads?: number;
}

export interface CausalAttentionOptions extends AttentionOptions {
  /** [B, T] i32: the first position that each one attends to, never falling within a row: segments of varying length side by side. */
  readonly starts?: Tensor;
}

/** Stands for −∞ before a softmax: WGSL has no infinities. */
export const MASKED = -1e30;

export function expectPacked(op: string, qkv: TensorType, rank: number, heads: number): void {
  const width = qkv.shape.at(-1) ?? 0;
  if (qkv.shape.length !== rank || width % (3 * heads) !== 0)
    throw new ShapeError(
      `${op}: qkv is ${formatShape(qkv.shape)}, expected rank ${rank} and a last extent divisible by 3 · ${heads} heads`,
    );
}

/** @throws {ShapeError} if the last extent is not (H + 2G) heads wide, or G no divisor of H */
function expectHeads(op: string, qkv: TensorType, rank: number, heads: number, keyValueHeads: number): void {
  const width = qkv.shape.at(-1) ?? 0;
  if (qkv.shape.length !== rank || width % (heads + 2 * keyValueHeads) !== 0 || heads % keyValueHeads !== 0)
    throw new ShapeError(
      `${op}: qkv is ${formatShape(qkv.shape)}, expected rank ${rank} and a last extent divisible into ${heads} + 2 · ${keyValueHeads} heads, the second a divisor of the first`,
    );
}

/**
 * softmax(q kᵀ / √d, causal) v per head. [Vaswani et al., 2017; kernels after Dao et al., 2022]
 * @param qkv [B, T, (H + 2G)·d]: queries, keys, values; within each, head after head
 * @returns [B, T, H·d]
 * @throws {ShapeError} if the last extent does not divide into the heads
 */
export function causalAttention(qkv: Tensor, { heads, keyValueHeads = heads, starts }: CausalAttentionOptions): Tensor {
  expectHeads('causalAttention', qkv, 3, heads, keyValueHeads);
  expectFloat('causalAttention', { qkv });
  const packed = repeatHeads(qkv, heads, keyValueHeads);
  if (starts === undefined) return applyAll(causalAttentionOp, [packed], { heads })[0];
  expectDType('causalAttention', { starts }, 'i32');
  expectShape('causalAttention', { starts }, qkv.shape.slice(0, 2));
  return applyAll(causalAttentionOp, [packed, starts], { heads })[0];
}

/** [.., G·d] with every head H / G times over: [.., H·d]. */
function repeatOne(x: Tensor, heads: number, keyValueHeads: number): Tensor {
  if (heads === keyValueHeads) return x;
  const lead = x.shape.slice(0, -1);
  const d = (x.shape.at(-1) ?? 0) / keyValueHeads;
  return x
    .reshape([...lead, keyValueHeads, 1, d])
    .expand([...lead, keyValueHeads, heads / keyValueHeads, d])
    .reshape([...lead, heads * d]);
}

/** Packed grouped queries, keys and values with as many heads of keys and values as of queries. */
function repeatHeads(qkv: Tensor, heads: number, keyValueHeads: number): Tensor {
  if (heads === keyValueHeads) return qkv;
  const lead = qkv.shape.slice(0, -1);
  const d = (qkv.shape.at(-1) ?? 0) / (heads + 2 * keyValueHeads);
  const columns = (start: number, count: number) => qkv.slice([...lead.map(() => 0), start * d], [...lead, count * d]);
  const [keys, values] = [columns(heads, keyValueHeads), columns(heads + keyValueHeads, keyValueHeads)];
  return concat([columns(0, heads), repeatOne(keys, heads, keyValueHeads), repeatOne(values, heads, keyValueHeads)], lead.length);
}

/** Operations of `products` matrix products over the keys that each query sees. */
function attentionProducts({ shape: [B, T, width] }: TensorType, products: number): number {
  return (products * 2 * B * T * (T + 1) * width) / 3 / 2;
}

/** [B, T, H·d] as [B, H, T, d]. */
function headsFirst(x: Tensor, heads: number): Tensor {
  const [B, T, D] = x.shape;
  return x.reshape([B, T, heads, D / heads]).transpose([0, 2, 1, 3]);
}

/** Packed queries, keys and values [B, T, 3D], each as [B, H, T, d]. */
function splitHeads(packed: Tensor, heads: number): Tensor[] {
  const [B, T, width] = packed.shape;
  const D = width / 3;
  return [0, 1, 2].map((part) => headsFirst(packed.slice([0, 0, part * D], [B, T, D]), heads));
}

/** [B, H, T, d] as [B, T, D]. */
function mergeHeads(x: Tensor): Tensor {
  const [B, H, T, d] = x.shape;
  return x.transpose([0, 2, 1, 3]).reshape([B, T, H * d]);
}

function causalScores(q: Tensor, k: Tensor, starts?: Tensor): Tensor {
  const scores = q.matmul(k, { transposeB: true }).mul(1 / Math.sqrt(q.shape[3]));
  const [B, , T] = q.shape;
  const causal = iota([T, T], 1)
    .lessEqual(iota([T, T], 0))
    .where(scores, MASKED);
  return starts === undefined
    ? causal
    : iota([T, T], 1)
        .greaterEqual(starts.reshape([B, 1, T, 1]))
        .where(causal, MASKED);
}

/** Outputs: the result [B, T, D] and the log-sum-exp of the scaled scores [B, H, T]. */
export const causalAttentionOp = defineOp<AttentionAttributes>({
  name: 'causalAttention',
  kind: 'compute',
  infer: ([qkv], { heads }) => {
    const [B, T, width] = qkv.shape;
    return [
      { shape: [B, T, width / 3], dtype: qkv.dtype },
      { shape: [B, heads, T], dtype: 'f32' },
    ];
  },
  define: ([qkv, starts], { heads }) => {
    const [q, k, v] = splitHeads(qkv, heads);
    const scores = causalScores(q, k, starts);
    const max = scores.max(-1, { keepDims: true });
    const e = scores.sub(max).exp();
    const sum = e.sum(-1, { keepDims: true });
    return [mergeHeads(e.div(sum).matmul(v)), sum.log().add(max).reshape(q.shape.slice(0, 3)).cast('f32')];
  },
  gradient: ([dy], [qkv, ...starts], { heads }, [y, logSumExp]) => [
    dy === undefined ? undefined : apply(causalAttentionGradOp, [dy, qkv, y, logSumExp, ...starts], { heads }),
  ],
  flops: ([qkv]) => attentionProducts(qkv, 2),
  lower: lowerCausalAttention,
});

// With P = exp(S − lse), δ = Σ dy · y:  dv = Pᵀ dy;  dS = P · (dy vᵀ − δ) / √d;  dq = dS k;  dk = dSᵀ q   (Dao et al. 2022, Alg. 4)
export const causalAttentionGradOp = defineOp<AttentionAttributes>({
  name: 'causalAttentionGrad',
  kind: 'compute',
  infer: ([, qkv]) => [qkv],
  define: ([dy, qkv, y, logSumExp, starts], { heads }) => {
    const [q, k, v] = splitHeads(qkv, heads);
    const [dyHeads, yHeads] = [headsFirst(dy, heads), headsFirst(y, heads)];
    const probabilities = causalScores(q, k, starts)
      .sub(logSumExp.reshape([...logSumExp.shape, 1]).cast(qkv.dtype))
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
 * Attention of T new tokens over `lengths[b]` cached ones and, causally, over themselves. The caller appends the new keys and values after: they
 * are the last 2·G·d columns of `qkv`, one row of the cache each.
 * @param qkv [B, T, (H + 2G)·d], the new tokens
 * @param cache [B, C, 2·G·d]: keys, values; or [N, C, 2·G·d]: blocks of C rows, a multiple of 8, that `lengths` names
 * @param lengths [B] i32: rows of the cache in use; or [B, 1 + M]: those, and the M blocks in which a sequence's rows are, C in each, in order
 * @returns [B, T, H·d]
 * @throws {ShapeError} if the cache does not fit
 */
export function cachedAttention(qkv: Tensor, cache: Tensor, lengths: Tensor, { heads, keyValueHeads = heads }: AttentionOptions): Tensor {
  expectHeads('cachedAttention', qkv, 3, heads, keyValueHeads);
  expectFloat('cachedAttention', { qkv, cache });
  expectDType('cachedAttention', { lengths }, 'i32');
  return apply(cachedAttentionOp, [qkv, cache, lengths], { heads, keyValueHeads });
}

/** Whether `lengths` are those of B sequences that are the cache's, [B], or in blocks of it, [B, 1 + M]. */
export function fitsLengths({ shape }: TensorType, cache: TensorType, B: number): boolean {
  if (shape[0] !== B) return false;
  return shape.length === 1 ? cache.shape[0] === B : shape.length === 2 && shape[1] > 1 && cache.shape[1] % 8 === 0;
}

/** The rows of each sequence in order, [B, M·C, D], and how many of them are in use, [B]. */
function takeBlocks(cache: Tensor, lengths: Tensor): { cache: Tensor; lengths: Tensor } {
  if (lengths.shape.length === 1) return { cache, lengths };
  const [N, C, D] = cache.shape;
  const [B, columns] = lengths.shape;
  const M = columns - 1;
  const blocks = lengths.slice([0, 1], [B, M]).reshape([B * M]);
  return {
    cache: cache
      .reshape([N, C * D])
      .gatherRows(blocks)
      .reshape([B, M * C, D]),
    lengths: lengths.slice([0, 0], [B, 1]).reshape([B]),
  };
}

export const cachedAttentionOp = defineOp<{ readonly heads: number; readonly keyValueHeads: number }>({
  name: 'cachedAttention',
  kind: 'compute',
  infer: ([qkv, cache, lengths], { heads, keyValueHeads }) => {
    const [B, T, width] = qkv.shape;
    const d = width / (heads + 2 * keyValueHeads);
    const fits = cache.shape.length === 3 && cache.shape[2] === 2 * keyValueHeads * d && fitsLengths(lengths, cache, B);
    if (!fits)
      throw new ShapeError(
        `cachedAttention: qkv ${formatShape(qkv.shape)}, cache ${formatShape(cache.shape)} and lengths ${formatShape(lengths.shape)} do not fit ${heads} heads and ${keyValueHeads} of keys and values`,
      );
    return [{ shape: [B, T, heads * d], dtype: qkv.dtype }];
  },
  define: ([qkv, all, places], { heads, keyValueHeads }) => {
    const { cache, lengths } = takeBlocks(all, places);
    const [B, C, cached] = cache.shape;
    const T = qkv.shape[1];
    const stride = cached / 2;
    const [q, k, v] = splitHeads(repeatHeads(qkv, heads, keyValueHeads), heads);
    const old = [0, 1].map((part) => repeatOne(cache.slice([0, 0, part * stride], [B, C, stride]), heads, keyValueHeads));
    const [keys, values] = old.map((x) => headsFirst(x, heads));
    const scale = 1 / Math.sqrt(q.shape[3]);
    const valid = iota([B, 1, T, C], 3).less(lengths.reshape([B, 1, 1, 1]));
    const scores = concat([valid.where(q.matmul(keys, { transposeB: true }).mul(scale), MASKED), causalScores(q, k)], 3);
    return [mergeHeads(softmax(scores).matmul(concat([values, v], 2)))];
  },
  lower: lowerCachedAttention,
});
