/** A check that a device computes what the interpreter does: for tests in browsers, and for anybody's adapter. */
import type { Device } from '../device/device.js';
import { grad } from '../graph/gradient.js';
import { interpret } from '../graph/interpret.js';
import { gelu } from '../ops/activation.js';
import { ancestorAttention } from '../ops/ancestor-attention.js';
import { cachedAttention, causalAttention } from '../ops/attention.js';
import { crossEntropy } from '../ops/cross-entropy.js';
import { layerNorm } from '../ops/layer-norm.js';
import { randomBits } from '../ops/random.js';
import { softmax } from '../ops/softmax.js';
import { topK } from '../ops/top-k.js';
import { concat, type Tensor, tensor } from '../tensor.js';

/** Values in [−1, 1), the same every time. */
function values(shape: readonly number[], seed: number): Tensor {
  const size = shape.reduce((a, b) => a * b, 1);
  let state = seed * 2654435761;
  const data = Float32Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 8) / 2 ** 23 - 1;
  });
  return tensor(data, shape);
}

const ids = (...list: number[]) => tensor(Int32Array.from(list));

/** Small graphs over all kinds of kernels, each with the inputs that it is differentiated by. */
const CASES: Readonly<Record<string, () => { readonly inputs: readonly Tensor[]; readonly build: (...xs: Tensor[]) => Tensor }>> = {
  'elementwise, broadcast and reduced': () => ({
    inputs: [values([5, 1, 7], 1), values([3, 1], 2)],
    build: (x, y) => x.mul(y).add(x.exp()).tanh().sum(1).max(-1),
  }),
  views: () => ({
    inputs: [values([6, 10], 3)],
    build: (x) => concat([x.transpose().slice([1, 2], [8, 3]), x.reshape([10, 6]).slice([0, 0], [8, 4])], 1).pad([1, 0], [0, 2]),
  }),
  'matmul, large enough for tiles': () => ({ inputs: [values([70, 96], 4), values([96, 68], 5)], build: (a, b) => a.matmul(b) }),
  'matmul, transposed, with bias and activation': () => ({
    inputs: [values([2, 33, 64], 6), values([2, 36, 64], 7), values([36], 8)],
    build: (a, b, bias) => gelu(a.matmul(b, { transposeB: true }).add(bias)),
  }),
  softmax: () => ({ inputs: [values([9, 33], 9)], build: softmax }),
  layerNorm: () => ({ inputs: [values([12, 64], 10), values([64], 11), values([64], 12)], build: (x, w, b) => layerNorm(x, w, b) }),
  'gather and scatter': () => ({
    inputs: [values([6, 8], 13)],
    build: (table) => table.gatherRows(ids(3, 0, 3, -1, 5)).scatterRows(ids(1, 1, 0, 2, 0), 4),
  }),
  crossEntropy: () => ({ inputs: [values([5, 70], 14)], build: (x) => crossEntropy(x, ids(3, 69, -1, 0, 12)) }),
  causalAttention: () => ({ inputs: [values([2, 19, 96], 15)], build: (qkv) => causalAttention(qkv, { heads: 2 }) }),
  cachedAttention: () => ({
    inputs: [values([2, 3, 96], 16), values([2, 12, 64], 17)],
    build: (qkv, cache) => cachedAttention(qkv, cache, ids(7, 0), { heads: 2 }),
  }),
  ancestorAttention: () => ({
    inputs: [values([4, 48], 18)],
    build: (qkv) => ancestorAttention(qkv, ids(0, -1, 1, 0, 2, 0, 3, -1).reshape([4, 2]), ids(3, 2, 3, 4), { heads: 2 }),
  }),
  topK: () => ({ inputs: [values([4, 21], 19)], build: (x) => topK(x, 3).values }),
};

export interface Conformance {
  readonly name: string;
  /** The largest difference, as a share of the largest element. */
  readonly error: number;
}

/** Runs small graphs and their gradients on `device` and in the interpreter; random bits must be equal. */
export async function checkConformance(device: Device): Promise<Conformance[]> {
  const results: Conformance[] = [];
  const compare = async (name: string, tensors: readonly Tensor[]) => {
    const actual = await device.run(tensors);
    const errors = interpret(tensors, { precision: 'f64' })
      .map((x) => Float64Array.from(x))
      .map((expected, i) => {
        const scale = expected.reduce((largest: number, value: number) => Math.max(largest, Math.abs(value)), 1e-3);
        return expected.reduce((largest: number, value: number, j: number) => {
          const error = Math.abs(actual[i][j] - value) / scale;
          return Number.isNaN(error) ? Number.POSITIVE_INFINITY : Math.max(largest, error);
        }, 0);
      });
    results.push({ name, error: Math.max(...errors) });
  };
  for (const [name, make] of Object.entries(CASES)) {
    const { inputs, build } = make();
    const y = build(...inputs);
    await compare(name, [y, ...grad(y.mul(values(y.shape, 99)).sum(), inputs)]);
  }
  await compare('randomBits', [randomBits([65], tensor(Uint32Array.of(1, 2)))]);
  return results;
}
