import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../device/device.js';
import { openDevice } from '../device/open.js';
import { grad } from '../graph/gradient.js';
import { interpret } from '../graph/interpret.js';
import { type Tensor, tensor } from '../tensor.js';
import { gelu, softmax } from './activation.js';
import { ancestorAttention } from './ancestor-attention.js';
import { cachedAttention, causalAttention } from './attention.js';
import { crossEntropy } from './cross-entropy.js';
import { layerNorm } from './layer-norm.js';

let device: Device;
beforeAll(async () => {
  device = await openDevice();
});
afterAll(() => device[Symbol.dispose]());

let state = 1;
function random(...shape: number[]): Tensor {
  const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 8) / 2 ** 23 - 1;
  });
  return tensor(data, shape);
}

/** The device against the interpreter in double precision; gradients of Σ y · seed against central differences on the interpreter. */
async function check(build: (xs: Tensor[]) => Tensor, xs: Tensor[]): Promise<void> {
  const y = build(xs);
  const seed = random(...y.shape);
  const loss = y.mul(seed).sum();
  const gradients = grad(loss, xs);
  const expected = interpret([y, ...gradients], { precision: 'f64' });
  const actual = await device.run([y, ...gradients]);
  expected.forEach((values, i) => {
    values.forEach((value, j) => {
      if (!(Math.abs(actual[i][j] - value) <= 2e-4 * Math.max(1, Math.abs(value))))
        expect.fail(`output ${i}, element ${j}: ${actual[i][j]}, expected ${value}`);
    });
  });
  const step = 2 ** -8;
  xs.forEach((x, i) => {
    const data = interpret([x])[0];
    for (let probe = 0; probe < 4; probe++) {
      const at = (probe * 7919 + 13) % x.size;
      const [up, down] = [step, -step].map((change) => {
        const moved = Float32Array.from(data);
        moved[at] += change;
        const inputs = xs.map((other, k) => (k === i ? tensor(moved, x.shape) : other));
        return interpret([build(inputs).mul(seed).sum()], { precision: 'f64' })[0][0];
      });
      const numeric = (up - down) / (2 * step);
      const analytic = expected[i + 1][at];
      if (!(Math.abs(numeric - analytic) <= 2e-3 * Math.max(1, Math.abs(numeric))))
        expect.fail(`gradient of input ${i} at ${at}: ${analytic}, by differences ${numeric}`);
    }
  });
}

describe('ops on the device, and their gradients', () => {
  it.each([
    [3, 5],
    [4, 64],
    [130, 16],
  ])('layerNorm [%i, %i]', (N, D) => check(([x, w, b]) => layerNorm(x, w, b), [random(N, D), random(D), random(D)]));
  it.each([
    [3, 7],
    [33, 64],
  ])('gelu and softmax [%i, %i]', (N, D) => check(([x]) => softmax(gelu(x)), [random(N, D)]));
  it.each([
    [5, 7],
    [64, 256],
    [3, 1000],
  ])('crossEntropy [%i, %i]', (N, V) => {
    const targets = tensor(Int32Array.from({ length: N }, (_, i) => (i * 31) % V));
    return check(([x]) => crossEntropy(x, targets), [random(N, V)]);
  });
  it.each([
    [1, 1, 1, 4],
    [2, 9, 2, 16],
    [1, 70, 2, 32],
    [2, 17, 1, 6],
  ])('causalAttention B %i, T %i, heads %i, head width %i', (B, T, heads, width) =>
    check(([qkv]) => causalAttention(qkv, { heads }), [random(B, T, 3 * heads * width)]),
  );
  it('ancestorAttention over a forest', () => {
    const ancestors = tensor(new Int32Array([0, -1, -1, 0, 1, -1, 0, 1, 2, 0, 3, -1, 4, -1, -1, 4, 5, -1]), [6, 3]);
    const ends = tensor(new Int32Array([4, 3, 3, 4, 6, 6]));
    return check(([qkv]) => ancestorAttention(qkv, ancestors, ends, { heads: 2 }), [random(6, 24)]);
  });
  it('cachedAttention equals causal attention over the whole', async () => {
    const qkv = random(1, 7, 24);
    const part = (from: number, to: number) => qkv.slice([0, from, 0], [1, to - from, 24]);
    const cache = (column: number) => qkv.slice([0, 0, column], [1, 4, 8]).pad([0, 0, 0], [0, 3, 0]);
    const y = cachedAttention(part(4, 7), cache(8), cache(16), tensor(new Int32Array([4])), { heads: 2 });
    const [actual, expected] = await device.run([y, causalAttention(qkv, { heads: 2 }).slice([0, 4, 0], [1, 3, 8])]);
    actual.forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i], 5);
    });
  });
  it.each([
    [6, 8, 11],
    [40, 3, 100],
    [1000, 64, 512],
  ])('gatherRows of [%i, %i] at %i ids, some of them none', (V, D, n) => {
    const ids = tensor(Int32Array.from({ length: n }, (_, i) => (i % 5 === 4 ? -1 : (i * i) % V)));
    return check(([table]) => table.gatherRows(ids), [random(V, D)]);
  });
});
