/** Results and gradients against an implementation that shares nothing with this one: jax-js on its CPU backend. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../device/device.js';
import { openDevice } from '../device/open.js';
import { grad } from '../graph/gradient.js';
import { type Tensor, tensor } from '../tensor.js';
import { gelu } from './activation.js';
import { causalAttention } from './attention.js';
import { crossEntropy } from './cross-entropy.js';
import { layerNorm } from './layer-norm.js';
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

const CASES: readonly Case[] = [
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
