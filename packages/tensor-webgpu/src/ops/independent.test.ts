/** Results and gradients against an implementation that shares nothing with this one: jax-js on its CPU backend. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../device/device.js';
import { openDevice } from '../device/open.js';
import { grad } from '../graph/gradient.js';
import { concat, stack, type Tensor, tensor } from '../tensor.js';
import { gelu, logSoftmax, relu, sigmoid, silu } from './activation.js';
import { causalAttention } from './attention.js';
import { crossEntropy } from './cross-entropy.js';
import { einsum } from './einsum.js';
import { layerNorm } from './layer-norm.js';
import { rmsNorm } from './rms-norm.js';
import { softmax } from './softmax.js';

type Jax = typeof import('@jax-js/jax');
type JaxArray = import('@jax-js/jax').Array;

let jax: Jax;
let device: Device;
beforeAll(async () => {
  device = await openDevice();
  provideIteratorHelpers();
  if (!('navigator' in globalThis)) Object.assign(globalThis, { navigator: {} });
  jax = await import('@jax-js/jax');
  await jax.init('cpu');
  jax.defaultDevice('cpu');
});
afterAll(() => device[Symbol.dispose]());

/** What jax-js uses of Iterator.prototype and Node 20 has not. */
function provideIteratorHelpers(): void {
  const prototype = Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]()));
  if ('map' in prototype) return;
  Object.assign(prototype, {
    *map<T, U>(this: Iterable<T>, f: (x: T, i: number) => U) {
      let i = 0;
      for (const x of this) yield f(x, i++);
    },
    *filter<T>(this: Iterable<T>, f: (x: T) => boolean) {
      for (const x of this) if (f(x)) yield x;
    },
    toArray<T>(this: Iterable<T>) {
      return [...this];
    },
  });
}

interface Case {
  readonly name: string;
  readonly shapes: readonly (readonly number[])[];
  readonly ours: (xs: readonly Tensor[]) => Tensor;
  readonly theirs: (xs: readonly JaxArray[], jax: Jax) => JaxArray;
}

const TARGETS = [3, 0, 6, 6, 1];
const IDS = [2, 0, 2, 5, 1, 1];
const HEADS = 2;

/** One operand of [4, 9], or two that broadcast, the second away from zero. */
const one = (name: string, ours: (x: Tensor) => Tensor, theirs: (x: JaxArray, jax: Jax) => JaxArray): Case => ({
  name,
  shapes: [[4, 9]],
  ours: ([x]) => ours(x),
  theirs: ([x], own) => theirs(x, own),
});
const two = (name: string, ours: (x: Tensor, y: Tensor) => Tensor, theirs: (x: JaxArray, y: JaxArray, jax: Jax) => JaxArray): Case => ({
  name,
  shapes: [[4, 9], [9]],
  ours: ([x, y]) => ours(x, y.add(2)),
  theirs: ([x, y], own) => theirs(x, y.add(2), own),
});

const CASES: readonly Case[] = [
  one(
    'neg',
    (x) => x.neg(),
    (x) => x.mul(-1),
  ),
  one(
    'exp',
    (x) => x.exp(),
    (x, { numpy }) => numpy.exp(x),
  ),
  one(
    'log',
    (x) => x.add(2).log(),
    (x, { numpy }) => numpy.log(x.add(2)),
  ),
  one(
    'sin',
    (x) => x.sin(),
    (x, { numpy }) => numpy.sin(x),
  ),
  one(
    'cos',
    (x) => x.cos(),
    (x, { numpy }) => numpy.cos(x),
  ),
  one(
    'sqrt',
    (x) => x.add(2).sqrt(),
    (x, { numpy }) => numpy.sqrt(x.add(2)),
  ),
  one(
    'rsqrt',
    (x) => x.add(2).rsqrt(),
    (x, { numpy }) => numpy.reciprocal(numpy.sqrt(x.add(2))),
  ),
  one(
    'tanh',
    (x) => x.tanh(),
    (x, { numpy }) => numpy.tanh(x),
  ),
  one(
    'abs',
    (x) => x.abs(),
    (x, { numpy }) => numpy.abs(x),
  ),
  one(
    'square',
    (x) => x.square(),
    (x, { numpy }) => numpy.square(x),
  ),
  one(
    'pow',
    (x) => x.pow(3),
    (x) => x.ref.mul(x.ref).mul(x),
  ),
  one(
    'clamp',
    (x) => x.clamp(-0.5, 0.5),
    (x, { numpy }) => numpy.clip(x, -0.5, 0.5),
  ),
  two(
    'add',
    (x, y) => x.add(y),
    (x, y) => x.add(y),
  ),
  two(
    'sub',
    (x, y) => x.sub(y),
    (x, y) => x.sub(y),
  ),
  two(
    'mul',
    (x, y) => x.mul(y),
    (x, y) => x.mul(y),
  ),
  two(
    'div',
    (x, y) => x.div(y),
    (x, y) => x.div(y),
  ),
  two(
    'maximum',
    (x, y) => x.mul(3).maximum(y),
    (x, y, { numpy }) => numpy.maximum(x.mul(3), y),
  ),
  two(
    'minimum',
    (x, y) => x.mul(3).minimum(y),
    (x, y, { numpy }) => numpy.minimum(x.mul(3), y),
  ),
  two(
    'where',
    (x, y) => x.less(0).where(x, y),
    (x, y, { numpy }) => numpy.where(numpy.less(x.ref, 0), x, y),
  ),
  one(
    'transpose',
    (x) => x.transpose(),
    (x, { numpy }) => numpy.transpose(x),
  ),
  one(
    'reshape',
    (x) => x.reshape([6, 6]),
    (x) => x.reshape([6, 6]),
  ),
  one(
    'slice',
    (x) => x.slice([1, 2], [2, 5]),
    (x) => x.slice([1, 3], [2, 7]),
  ),
  one(
    'pad',
    (x) => x.pad([1, 0], [0, 2]),
    (x, { numpy }) =>
      numpy.pad(x, [
        [1, 0],
        [0, 2],
      ]),
  ),
  one(
    'concat',
    (x) => concat([x, x.mul(2)], 1),
    (x, { numpy }) => numpy.concatenate([x.ref, x.mul(2)], 1),
  ),
  one(
    'stack',
    (x) => stack([x, x.mul(2)], 1),
    (x, { numpy }) => numpy.stack([x.ref, x.mul(2)], 1),
  ),
  one(
    'sum',
    (x) => x.sum(0),
    (x, { numpy }) => numpy.sum(x, 0),
  ),
  one(
    'mean',
    (x) => x.mean(-1),
    (x, { numpy }) => numpy.mean(x, -1),
  ),
  one(
    'max',
    (x) => x.max(-1),
    (x, { numpy }) => numpy.max(x, -1),
  ),
  one(
    'min',
    (x) => x.min(0),
    (x, { numpy }) => numpy.min(x, 0),
  ),
  one(
    'logSumExp',
    (x) => x.logSumExp(-1),
    (x, { nn }) => nn.logsumexp(x, -1),
  ),
  one(
    'cumulativeSum',
    (x) => x.cumulativeSum(1),
    (x, { numpy }) => numpy.cumsum(x, 1),
  ),
  one('relu', relu, (x, { nn }) => nn.relu(x)),
  one('sigmoid', sigmoid, (x, { nn }) => nn.sigmoid(x)),
  one('silu', silu, (x, { nn }) => nn.silu(x)),
  one('logSoftmax', logSoftmax, (x, { nn }) => nn.logSoftmax(x)),
  {
    name: 'einsum',
    shapes: [
      [2, 5, 3],
      [3, 2, 4],
    ],
    ours: ([a, b]) => einsum('bij,jbk->bki', a, b),
    theirs: ([a, b], { numpy }) => numpy.einsum('bij,jbk->bki', a, b),
  },
  {
    name: 'rmsNorm',
    shapes: [[5, 16], [16]],
    ours: ([x, w]) => rmsNorm(x, w, { eps: 1e-5 }),
    theirs: ([x, w], { numpy }) =>
      x.ref.mul(numpy.reciprocal(numpy.sqrt(numpy.mean(numpy.square(x), -1, { keepdims: true }).add(1e-5)))).mul(w),
  },
  {
    name: 'matmul',
    shapes: [
      [5, 12],
      [12, 8],
    ],
    ours: ([a, b]) => a.matmul(b),
    theirs: ([a, b], { numpy }) => numpy.matmul(a, b),
  },
  {
    name: 'batched matmul, both transposed',
    shapes: [
      [3, 12, 5],
      [3, 8, 12],
    ],
    ours: ([a, b]) => a.matmul(b, { transposeA: true, transposeB: true }),
    theirs: ([a, b], { numpy }) => numpy.matmul(numpy.swapaxes(a, 1, 2), numpy.swapaxes(b, 1, 2)),
  },
  { name: 'softmax', shapes: [[4, 9]], ours: ([x]) => softmax(x), theirs: ([x], { nn }) => nn.softmax(x) },
  { name: 'gelu', shapes: [[4, 9]], ours: ([x]) => gelu(x), theirs: ([x], { nn }) => nn.gelu(x) },
  {
    name: 'layerNorm',
    shapes: [[5, 16], [16], [16]],
    ours: ([x, w, b]) => layerNorm(x, w, b),
    theirs: ([x, w, b], { nn }) => nn.standardize(x, -1, { epsilon: 1e-5 }).mul(w).add(b),
  },
  {
    name: 'embedding',
    shapes: [[6, 8]],
    ours: ([table]) => table.gatherRows(tensor(Int32Array.from(IDS))),
    theirs: ([table], { numpy }) => numpy.take(table, numpy.array(IDS, { dtype: numpy.int32 }), 0),
  },
  {
    name: 'crossEntropy',
    shapes: [[5, 7]],
    ours: ([x]) => crossEntropy(x, tensor(Int32Array.from(TARGETS))),
    theirs: ([x], { numpy, nn }) =>
      nn
        .logSoftmax(x)
        .mul(nn.oneHot(numpy.array(TARGETS, { dtype: numpy.int32 }), 7))
        .sum(-1)
        .mul(-1),
  },
  {
    name: 'causalAttention',
    shapes: [[2, 11, 3 * HEADS * 8]],
    ours: ([qkv]) => causalAttention(qkv, { heads: HEADS }),
    theirs: ([qkv], { numpy, nn }) => {
      const [q, k, v] = numpy.split(qkv, 3, 2).map((part) => part.reshape([2, 11, HEADS, 8]));
      return nn.dotProductAttention(q, k, v, { isCausal: true }).reshape([2, 11, HEADS * 8]);
    },
  },
];

/** Values in [−1, 1), the same every time. */
function values(size: number, seed: number): Float32Array<ArrayBuffer> {
  let state = seed;
  return Float32Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 8) / 2 ** 23 - 1;
  });
}

describe('against jax-js', () => {
  it.each(CASES)('$name and its gradients', async ({ shapes, ours, theirs }) => {
    const data = shapes.map((shape, i) =>
      values(
        shape.reduce((a, b) => a * b, 1),
        i + 1,
      ),
    );
    const inputs = data.map((x, i) => tensor(x, shapes[i]));
    const y = ours(inputs);
    const seed = values(y.size, 99);
    const gradients = grad(y.mul(tensor(seed, y.shape)).sum(), inputs);
    const actual = await device.run([y, ...gradients]);

    const array = (x: Float32Array<ArrayBuffer>, shape: readonly number[]) => jax.numpy.array(x).reshape([...shape]);
    const [result, pull] = jax.vjp(
      (...xs: JaxArray[]) => theirs(xs, jax),
      data.map((x, i) => array(x, shapes[i])),
    );
    expect(result.shape).toEqual(y.shape);
    const expected = [await result.data(), ...(await Promise.all((pull(array(seed, y.shape)) as JaxArray[]).map((g) => g.data())))];
    expected.forEach((reference: ArrayLike<number>, i) => {
      expect(actual[i].length).toBe(reference.length);
      Array.from(reference).forEach((value, j) => {
        expect(actual[i][j], `${i === 0 ? 'result' : `gradient ${i - 1}`} at ${j}`).toBeCloseTo(value, 4);
      });
    });
  });
});
