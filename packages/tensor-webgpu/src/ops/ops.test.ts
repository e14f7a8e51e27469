/**
 * Every op on the device, in the forms that three kinds of adapter get, against the interpreter in double precision; every gradient against
 * central differences. Shapes and values are drawn at random.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../device/device.js';
import { openDevice } from '../device/open.js';
import { checkpoint, customGradient } from '../graph/custom.js';
import { grad } from '../graph/gradient.js';
import { interpret } from '../graph/interpret.js';
import { concat, iota, stack, type Tensor, tensor } from '../tensor.js';
import { gelu, logSoftmax, relu, sigmoid, silu } from './activation.js';
import { ancestorAttention } from './ancestor-attention.js';
import { cachedAttention, causalAttention } from './attention.js';
import { crossEntropy, linearCrossEntropy } from './cross-entropy.js';
import { einsum } from './einsum.js';
import { layerNorm } from './layer-norm.js';
import { dropout } from './random.js';
import { rmsNorm } from './rms-norm.js';
import { rope } from './rope.js';
import { softmax } from './softmax.js';
import { topK } from './top-k.js';

/** Extents: small ones of any kind, and those for which kernels have wider forms. */
const extent = fc.oneof(fc.integer({ min: 1, max: 11 }), fc.constantFrom(16, 32, 64));
/** Few, since each is a kernel of its own; with and without vectors. */
const headDim = fc.constantFrom(3, 8, 20);
const drawn = fc.record({
  B: fc.integer({ min: 1, max: 3 }),
  H: fc.integer({ min: 1, max: 3 }),
  M: extent,
  N: extent,
  K: extent,
  d: headDim,
  seed: fc.nat(),
});
type Drawn = typeof drawn extends fc.Arbitrary<infer D> ? D : never;

class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed;
  }
  /** In [0, 1). */
  next(): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) | 0;
    return (this.#state >>> 8) / 2 ** 24;
  }
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }
  #fill(shape: readonly number[], value: (i: number) => number): Tensor {
    return tensor(
      Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => value(i)),
      shape,
    );
  }
  /** In [−1, 1). */
  any(...shape: number[]): Tensor {
    return this.#fill(shape, () => this.next() * 2 - 1);
  }
  /** In [0.5, 2). */
  positive(...shape: number[]): Tensor {
    return this.#fill(shape, () => this.next() * 1.5 + 0.5);
  }
  /** Distinct, and at least 1/32 away from each other, from every integer and from those of the other phase. @param phase 0 or 1 */
  apart(phase: number, ...shape: number[]): Tensor {
    const size = shape.reduce((a, b) => a * b, 1);
    const order = Array.from({ length: size }, (_, i) => i);
    for (let i = size - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return this.#fill(shape, (i) => (order[i] - (size >> 1)) / 8 + 1 / 32 + phase / 16);
  }
  ids(size: number, limit: number): Tensor {
    return tensor(Int32Array.from({ length: size }, () => (this.below(5) === 0 ? -1 : this.below(limit))));
  }
  /** Nodes in depth-first order, with chains of at most K. */
  forest(N: number, K: number): { readonly ancestors: Tensor; readonly ends: Tensor } {
    const ancestors = new Int32Array(N * K).fill(-1);
    const ends = Int32Array.from({ length: N }, (_, i) => i + 1);
    let chain: number[] = [];
    for (let node = 0; node < N; node++) {
      chain = [...chain.slice(0, this.below(Math.min(chain.length + 1, K))), node];
      ancestors.set([...chain].reverse(), node * K);
      for (const ancestor of chain) ends[ancestor] = node + 1;
    }
    return { ancestors: tensor(ancestors, [N, K]), ends: tensor(ends) };
  }
}

interface Case {
  readonly inputs: readonly Tensor[];
  readonly build: (xs: readonly Tensor[]) => Tensor;
}

const unary =
  (values: (r: Random, M: number, N: number) => Tensor, op: (x: Tensor) => Tensor) =>
  (r: Random, { M, N }: Drawn): Case => ({
    inputs: [values(r, M, N)],
    build: ([x]) => op(x),
  });
const anyValues = (r: Random, M: number, N: number) => r.any(M, N);
const positive = (r: Random, M: number, N: number) => r.positive(M, N);
const apart = (r: Random, M: number, N: number) => r.apart(0, M, N);
const broadcast =
  (op: (x: Tensor, y: Tensor) => Tensor) =>
  (r: Random, { B, M, N }: Drawn): Case => ({
    inputs: [r.any(B, 1, N), r.positive(M, 1)],
    build: ([x, y]) => op(x, y),
  });
const product =
  (transposeA: boolean, transposeB: boolean, batched: boolean) =>
  (r: Random, { B, M, N, K }: Drawn): Case => {
    const batch = batched ? [B] : [];
    const a = transposeA ? [K, M] : [M, K];
    const b = transposeB ? [N, K] : [K, N];
    return { inputs: [r.any(...batch, ...a), r.any(...batch, ...b)], build: ([x, y]) => x.matmul(y, { transposeA, transposeB }) };
  };

const CASES: Readonly<Record<string, (r: Random, d: Drawn) => Case>> = {
  neg: unary(anyValues, (x) => x.neg()),
  exp: unary(anyValues, (x) => x.exp()),
  log: unary(positive, (x) => x.log()),
  sin: unary(anyValues, (x) => x.sin()),
  cos: unary(anyValues, (x) => x.cos()),
  sqrt: unary(positive, (x) => x.sqrt()),
  rsqrt: unary(positive, (x) => x.rsqrt()),
  tanh: unary(anyValues, (x) => x.tanh()),
  square: unary(anyValues, (x) => x.square()),
  abs: unary(apart, (x) => x.abs()),
  sign: unary(apart, (x) => x.sign().mul(x)),
  'floor and cast': unary(apart, (x) => x.floor().cast('i32').cast('f32').add(x)),
  'add, broadcast': broadcast((x, y) => x.add(y)),
  'sub, broadcast': broadcast((x, y) => x.sub(y)),
  'mul, broadcast': broadcast((x, y) => x.mul(y)),
  'div, broadcast': broadcast((x, y) => x.div(y)),
  'maximum and minimum': (r, { M, N }) => ({
    inputs: [r.apart(0, M, N), r.apart(1, M, N), r.any(N)],
    build: ([x, y, z]) => x.maximum(y).mul(z).add(x.minimum(y)),
  }),
  'where, less, lessEqual and equal': (r, { M, N }) => {
    const condition = r.apart(0, M, N);
    return {
      inputs: [r.any(M, N), r.any(N)],
      build: ([x, y]) => condition.less(0).where(x, y).add(condition.lessEqual(1).where(y, 0)).add(condition.equal(condition).where(x, 1)),
    };
  },
  reshape: (r, { B, M, N }) => ({ inputs: [r.any(B, M, N)], build: ([x]) => x.reshape([N, -1]).tanh() }),
  transpose: (r, { B, M, N }) => ({ inputs: [r.any(B, M, N)], build: ([x]) => x.transpose([1, 2, 0]).add(x.transpose([1, 2, 0]).exp()) }),
  expand: (r, { B, M, N }) => ({ inputs: [r.any(M, 1)], build: ([x]) => x.expand([B, M, N]) }),
  'slice and pad': (r, { M, N }) => ({
    inputs: [r.any(M + 2, N + 1)],
    build: ([x]) => x.slice([1, 0], [M, N]).pad([0, 2], [3, 1]),
  }),
  concat: (r, { B, M, N }) => ({ inputs: [r.any(B, M), r.any(B, N)], build: ([x, y]) => concat([x, y, x.mul(y.sum())], 1) }),
  'sum over some axes': (r, { B, M, N }) => ({ inputs: [r.any(B, M, N)], build: ([x]) => x.sum([0, 2]) }),
  'sum over the first axis': (r, { M, N }) => ({ inputs: [r.any(M, N)], build: ([x]) => x.sum(0, { keepDims: true }) }),
  'mean over the last axis': (r, { M, N }) => ({ inputs: [r.any(M, N)], build: ([x]) => x.mean(-1) }),
  'sum and mean over all': (r, { M, N }) => ({ inputs: [r.any(M, N)], build: ([x]) => x.sum().add(x.mean()) }),
  max: (r, { B, M, N }) => ({ inputs: [r.apart(0, B, M, N)], build: ([x]) => x.max(-1).add(x.max(1).sum(-1, { keepDims: true })) }),
  sumTo: (r, { B, M, N }) => ({ inputs: [r.any(B, M, N)], build: ([x]) => x.sumTo([M, 1]) }),
  matmul: product(false, false, false),
  'matmul, B transposed': product(false, true, false),
  'matmul, A transposed': product(true, false, false),
  'matmul, both transposed': product(true, true, false),
  'matmul, batched': product(false, false, true),
  'matmul, batched, B transposed': product(false, true, true),
  'matmul, batched, A transposed': product(true, false, true),
  'matmul of a batch with one matrix': (r, { B, M, N, K }) => ({ inputs: [r.any(B, M, K), r.any(K, N)], build: ([x, y]) => x.matmul(y) }),
  gatherRows: (r, { M, N, K }) => {
    const ids = r.ids(K * 3, M);
    return { inputs: [r.any(M, N)], build: ([table]) => table.gatherRows(ids) };
  },
  scatterRows: (r, { M, N, K }) => {
    const ids = r.ids(K, M);
    return { inputs: [r.any(K, N)], build: ([rows]) => rows.scatterRows(ids, M) };
  },
  'pow of whole exponents': unary(anyValues, (x) => x.pow(3).add(x.pow(2)).add(x.pow(4))),
  'pow of any base': unary(positive, (x) => x.pow(-0.5).add(x.pow(1.7))),
  clamp: (r, { M, N }) => ({ inputs: [r.apart(0, M, N)], build: ([x]) => x.clamp(-1, 1).mul(x) }),
  min: (r, { B, M, N }) => ({ inputs: [r.apart(0, B, M, N)], build: ([x]) => x.min(-1).add(x.min([0, 2])) }),
  argMax: (r, { M, N }) => ({ inputs: [r.apart(0, M, N)], build: ([x]) => x.mul(x.argMax(-1, { keepDims: true }).cast('f32')) }),
  logSumExp: (r, { M, N }) => ({ inputs: [r.any(M, N)], build: ([x]) => x.logSumExp(-1).add(x.logSumExp()) }),
  cumulativeSum: (r, { B, M, N }) => ({
    inputs: [r.any(B, M, N)],
    build: ([x]) => x.cumulativeSum().add(x.cumulativeSum(1, { reverse: true })),
  }),
  topK: (r, { M, N }) => ({
    inputs: [r.apart(0, M, N)],
    build: ([x]) => {
      const { values, places } = topK(x, Math.max(1, N >> 1));
      return values.mul(places.cast('f32').add(1));
    },
  }),
  'split and stack': (r, { B, M, N }) => ({
    inputs: [r.any(B, M + N)],
    build: ([x]) => {
      const [a, b] = x.split([M, N], 1);
      return stack([x, x.mul(a.sum().add(b.mean()))], 1);
    },
  }),
  'einsum of two': (r, { B, M, N, K }) => ({
    inputs: [r.any(M, B, K), r.any(K, N, B)],
    build: ([x, y]) => einsum('mbk,knb->nbm', x, y),
  }),
  'einsum of three and one': (r, { B, M, N, K }) => ({
    inputs: [r.any(M, K), r.any(K, N), r.any(N, B)],
    build: ([x, y, z]) => einsum('mk,kn,nb->bm', x, y, z).add(einsum('mk->', x)),
  }),
  stopGradient: (r, { M, N }) => ({
    inputs: [r.any(M, N), r.any(N)],
    build: ([x, y]) => x.add(y.mul(0)).mul(2).add(x.stopGradient().mul(0)),
  }),
  customGradient: (r, { M, N }) => ({
    inputs: [r.any(M, N)],
    build: ([x]) =>
      customGradient(
        [x],
        (a) => [a.mul(a)],
        ([dy], [a]) => [dy?.mul(a).mul(2)],
      )[0],
  }),
  checkpoint: (r, { M, N, K }) => ({
    inputs: [r.any(M, K), r.any(K, N)],
    build: ([x, w]) => checkpoint([x, w], (a, b) => [a.matmul(b).tanh().square()])[0],
  }),
  relu: unary(apart, relu),
  sigmoid: unary(anyValues, sigmoid),
  silu: unary(anyValues, silu),
  logSoftmax: unary(anyValues, logSoftmax),
  rmsNorm: (r, { M, N }) => ({ inputs: [r.any(M, N), r.any(N)], build: ([x, w]) => rmsNorm(x, w, { eps: 0.01 }) }),
  rope: (r, { B, M, d }) => ({ inputs: [r.any(B, M, 2 * d)], build: ([x]) => rope(x, iota([M]), { base: 100 }) }),
  dropout: (r, { M, N }) => ({ inputs: [r.any(M, N)], build: ([x]) => dropout(x, 0.3, tensor(Uint32Array.of(7, 3))) }),
  linearCrossEntropy: (r, { M, N, K }) => {
    const targets = r.ids(M, N);
    return { inputs: [r.any(M, K), r.any(N, K)], build: ([h, w]) => linearCrossEntropy(h, w, targets, { chunks: 3 }) };
  },
  'causalAttention over segments': (r, { B, H, M, d }) => {
    const starts = new Int32Array(B * M);
    for (let i = 0; i < B * M; i++) starts[i] = i % M === 0 ? 0 : r.below(3) === 0 ? i % M : starts[i - 1];
    return {
      inputs: [r.any(B, M, 3 * H * d)],
      build: ([qkv]) => causalAttention(qkv, { heads: H, starts: tensor(starts, [B, M]) }),
    };
  },
  gelu: unary(anyValues, gelu),
  softmax: unary(anyValues, softmax),
  layerNorm: (r, { M, N }) => ({
    inputs: [r.any(M, N + 2), r.any(N + 2), r.any(N + 2)],
    build: ([x, w, b]) => layerNorm(x, w, b, { eps: 0.01 }),
  }),
  crossEntropy: (r, { M, N }) => {
    const targets = r.ids(M, N);
    return { inputs: [r.any(M, N)], build: ([x]) => crossEntropy(x, targets) };
  },
  causalAttention: (r, { B, H, M, d }) => ({ inputs: [r.any(B, M, 3 * H * d)], build: ([qkv]) => causalAttention(qkv, { heads: H }) }),
  ancestorAttention: (r, { B, H, M, d }) => {
    const { ancestors, ends } = r.forest(M, B + 1);
    return { inputs: [r.any(M, 3 * H * d)], build: ([qkv]) => ancestorAttention(qkv, ancestors, ends, { heads: H }) };
  },
  cachedAttention: (r, { B, H, M, N, d }) => {
    const lengths = tensor(Int32Array.from({ length: B }, () => r.below(N + 1)));
    return {
      inputs: [r.any(B, M, 3 * H * d), r.any(B, N, 2 * H * d)],
      build: ([qkv, cache]) => cachedAttention(qkv, cache, lengths, { heads: H }),
    };
  },
  'cachedAttention, of blocks of a cache': (r, { B, H, M, d }) => {
    const columns = 1 + r.below(3) + 1;
    const C = 8 * (1 + r.below(2));
    const places = tensor(
      Int32Array.from({ length: columns * B }, (_, i) => r.below(i % columns === 0 ? (columns - 1) * C + 1 : B + 2)),
      [B, columns],
    );
    return {
      inputs: [r.any(B, M, 3 * H * d), r.any(B + 2, C, 2 * H * d)],
      build: ([qkv, cache]) => cachedAttention(qkv, cache, places, { heads: H }),
    };
  },
  'causalAttention, grouped queries': (r, { B, H, M, d }) => ({
    inputs: [r.any(B, M, 4 * H * d)],
    build: ([qkv]) => causalAttention(qkv, { heads: 2 * H, keyValueHeads: H }),
  }),
  'cachedAttention, grouped queries': (r, { B, H, M, N, d }) => {
    const lengths = tensor(Int32Array.from({ length: B }, () => r.below(N + 1)));
    return {
      inputs: [r.any(B, M, 4 * H * d), r.any(B, N, 2 * H * d)],
      build: ([qkv, cache]) => cachedAttention(qkv, cache, lengths, { heads: 2 * H, keyValueHeads: H }),
    };
  },
};

/** Interpreting more than this for every probe takes too long. */
const PROBED = 4000;
const STEP = 2 ** -8;

async function check(device: Device, { inputs, build }: Case, r: Random): Promise<void> {
  const y = build(inputs);
  const seed = r.any(...y.shape);
  const gradients = grad(y.mul(seed).sum(), inputs);
  const expected = interpret([y, ...gradients], { precision: 'f64' });
  const actual = await device.run([y, ...gradients]);
  expected.forEach((values, i) => {
    values.forEach((value, j) => {
      if (!(Math.abs(actual[i][j] - value) <= 2e-4 * Math.max(1, Math.abs(value))))
        expect.fail(`${i === 0 ? 'the result' : `the gradient of input ${i - 1}`} at ${j}: ${actual[i][j]}, expected ${value}`);
    });
  });
  inputs.forEach((x, i) => {
    const data = interpret([x])[0];
    for (let probe = 0; probe < (y.size + x.size > PROBED ? 1 : 3); probe++) {
      const at = r.below(x.size);
      const [up, down] = [STEP, -STEP].map((change) => {
        const moved = Float32Array.from(data);
        moved[at] += change;
        const others = inputs.map((other, k) => (k === i ? tensor(moved, x.shape) : other));
        return interpret([build(others).mul(seed).sum()], { precision: 'f64' })[0][0];
      });
      const numeric = (up - down) / (2 * STEP);
      const analytic = expected[i + 1][at];
      if (!(Math.abs(numeric - analytic) <= 2e-3 * Math.max(1, Math.abs(numeric))))
        expect.fail(`the gradient of input ${i} at ${at}: ${analytic}, by differences ${numeric}`);
    }
  });
}

describe.each([
  ['of this adapter', {}, 8],
  ['of a GPU', { software: false, subgroups: false }, 4],
  ['of a CPU without subgroups', { software: true, subgroups: false }, 4],
] as const)('in the forms %s', (_, traits, numRuns) => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice({ traits });
  });
  afterAll(() => device[Symbol.dispose]());

  it.each(Object.entries(CASES))('%s: as the interpreter says, with the gradient of its differences', async (_, make) => {
    await fc.assert(
      fc.asyncProperty(drawn, async (d) => {
        const r = new Random(d.seed);
        await check(device, make(r, d), r);
      }),
      { numRuns },
    );
  });

  it('cachedAttention equals causalAttention over the whole', async () => {
    const qkv = new Random(1).any(1, 7, 24);
    const cache = qkv.slice([0, 0, 8], [1, 4, 16]).pad([0, 0, 0], [0, 3, 0]);
    const y = cachedAttention(qkv.slice([0, 4, 0], [1, 3, 24]), cache, tensor(new Int32Array([4])), { heads: 2 });
    const [actual, expected] = await device.run([y, causalAttention(qkv, { heads: 2 }).slice([0, 4, 0], [1, 3, 8])]);
    actual.forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i], 5);
    });
  });
});

/** Ops whose activations may be f16. */
const HALF = [
  ...['exp', 'tanh', 'add, broadcast', 'mul, broadcast', 'div, broadcast', 'reshape', 'transpose', 'expand', 'slice and pad', 'concat'],
  ...['sum over some axes', 'mean over the last axis', 'max', 'matmul', 'matmul, B transposed', 'matmul, A transposed', 'matmul, batched'],
  ...['matmul of a batch with one matrix', 'gatherRows', 'scatterRows', 'gelu', 'silu', 'softmax', 'rmsNorm', 'rope', 'layerNorm'],
  ...[
    'crossEntropy',
    'linearCrossEntropy',
    'causalAttention',
    'causalAttention, grouped queries',
    'cachedAttention',
    'checkpoint',
    'dropout',
  ],
];

describe.each([
  ['of this adapter', {}],
  ['of a GPU', { software: false, subgroups: false }],
] as const)('with f16 activations, in the forms %s', (_, traits) => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice({ traits });
  });
  afterAll(() => device[Symbol.dispose]());

  // Sums may be rounded at other places than the interpreter's: a few units of f16, 2⁻¹¹, of the largest element.
  it.each(HALF)('%s: as the interpreter says, within 1% of the largest element', async (name) => {
    await fc.assert(
      fc.asyncProperty(drawn, async (d) => {
        const r = new Random(d.seed);
        const { inputs, build } = CASES[name](r, d);
        const y = build(inputs.map((x) => x.cast('f16')));
        const gradients = grad(
          y
            .cast('f32')
            .mul(r.any(...y.shape))
            .sum(),
          inputs,
        );
        const tensors = [y, ...gradients];
        const expected = interpret(tensors);
        const actual = await device.run(tensors);
        expected.forEach((values, i) => {
          const scale = Math.max(1e-2, ...Array.from(values, Math.abs));
          values.forEach((value, j) => {
            if (!(Math.abs(actual[i][j] - value) <= 0.01 * scale)) expect.fail(`output ${i} at ${j}: ${actual[i][j]}, expected ${value}`);
          });
        });
      }),
      { numRuns: 3 },
    );
  });

  it('a deep product with bias, activation and residual: sums stay f32 between blocks', async () => {
    const r = new Random(5);
    for (const M of [3, 40]) {
      const [x, w, bias] = [r.any(M, 256), r.any(256, 64), r.any(64)].map((one) => one.cast('f16'));
      const y = gelu(x.matmul(w).mul(0.1).add(bias)).add(x.slice([0, 0], [M, 64]));
      const [expected] = interpret([y]);
      const [actual] = await device.run([y]);
      expected.forEach((value, i) => {
        expect(Math.abs(actual[i] - value)).toBeLessThanOrEqual(0.01 * Math.max(1, Math.abs(value)));
      });
    }
  });
});
