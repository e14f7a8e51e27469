import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../device/device.js';
import { openDevice } from '../device/open.js';
import type { TypedArray } from '../dtype.js';
import { grad } from '../graph/gradient.js';
import { interpret } from '../graph/interpret.js';
import { gelu } from '../ops/activation.js';
import { pack } from '../ops/update.js';
import { concat, fill, iota, placeholder, type Tensor, tensor } from '../tensor.js';
import { update } from './compile.js';
import { hostTensor } from './program.js';

let device: Device;
beforeAll(async () => {
  device = await openDevice();
});
afterAll(() => device[Symbol.dispose]());

function random(size: number, seed: number): Float32Array<ArrayBuffer> {
  let state = seed * 2654435761 + 12345;
  return Float32Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 8) / 2 ** 23 - 1;
  });
}

async function expectLikeInterpreter(tensors: readonly Tensor[], tolerance = 1e-4): Promise<void> {
  const expected = interpret(tensors, { precision: 'f64' });
  const actual = await device.run(tensors);
  expected.forEach((values, i) => {
    expect(actual[i].length).toBe(values.length);
    values.forEach((value, j) => {
      const difference = Math.abs(actual[i][j] - value);
      if (!(difference <= tolerance * Math.max(1, Math.abs(value))))
        expect.fail(`tensor ${i} ${tensors[i]}, element ${j}: ${actual[i][j]}, expected ${value}`);
    });
  });
}

async function outputsOf(tensors: readonly Tensor[], fuse: boolean): Promise<TypedArray[]> {
  using program = device.compile(() => ({ outputs: Object.fromEntries(tensors.map((one, i) => [`${i}`, one])) }), { fuse });
  const results = program.run({});
  return await Promise.all(tensors.map((_, i) => results[`${i}`].data()));
}

const STEPS: readonly ((x: Tensor) => Tensor)[] = [
  (x) => x.mul(x).add(0.5),
  (x) => x.tanh(),
  (x) => x.sub(x.mean(-1, { keepDims: true })),
  (x) => x.transpose(),
  (x) => x.transpose().exp().transpose().mul(0.3),
  (x) => x.pad([0, 1], [1, 0]).slice([0, 1], x.shape),
  (x) => concat([x, x.mul(2)], 0),
  (x) =>
    x.div(
      x
        .max(0, { keepDims: true })
        .mul(x.max(0, { keepDims: true }))
        .add(1),
    ),
  (x) => x.add(iota([x.shape[1]]).cast('f32').mul(0.1)),
  (x) => x.less(0.2).where(x, x.mul(-0.5)),
  (x) => x.matmul(x, { transposeB: true }).mul(0.25),
  (x) => x.matmul(x, { transposeA: true }).mul(0.25),
  (x) => x.reshape([x.size]).reshape(x.shape),
  // A product with bias, activation and residual: one kernel.
  (x) =>
    gelu(x.matmul(iota([x.shape[1], x.shape[1]]).cast('f32').mul(0.1).cos()).add(x.mean(0)))
      .add(x)
      .mul(0.5),
  (x) => x.sum(0, { keepDims: true }).expand(x.shape).mul(0.2).add(x),
];

describe('a compiled program', () => {
  it('gives what the interpreter gives, forward and backward, for random graphs', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 9 }),
        fc.array(fc.nat(STEPS.length - 1), { minLength: 1, maxLength: 5 }),
        fc.nat(1000),
        async (rows, columns, steps, seed) => {
          const x = tensor(random(rows * columns, seed), [rows, columns]);
          const y = steps.reduce<Tensor>((value, step) => STEPS[step](value), x);
          const loss = y.mul(y).mean();
          const tensors = [y, loss, ...grad(loss, [x])];
          await expectLikeInterpreter(tensors, 1e-3);
          const [fused, apart] = await Promise.all([true, false].map((fuse) => outputsOf(tensors, fuse)));
          apart.forEach((values, i) => {
            values.forEach((value, j) => {
              expect(Math.abs(fused[i][j] - value)).toBeLessThanOrEqual(1e-4 * Math.max(1, Math.abs(value)));
            });
          });
        },
      ),
      { numRuns: 60 },
    );
  });

  it('multiplies matrices of every shape and transposition, batched', async () => {
    const sizes = [
      [5, 7, 3],
      [32, 64, 32],
      [64, 32, 128],
      [128, 256, 64],
      [36, 40, 96],
    ];
    const products = sizes.flatMap(([M, N, K], i) =>
      [false, true].flatMap((transposeA) =>
        [false, true].map((transposeB) => {
          const batch = i % 2 === 0 ? [2] : [];
          const a = tensor(random((batch[0] ?? 1) * M * K, 1), [...batch, ...(transposeA ? [K, M] : [M, K])]);
          const b = tensor(random((batch[0] ?? 1) * N * K, 2), [...batch, ...(transposeB ? [N, K] : [K, N])]);
          return a.matmul(b, { transposeA, transposeB });
        }),
      ),
    );
    await expectLikeInterpreter(products);
  });

  it('writes variables after every reader of their old value', async () => {
    using set = device.variables({ a: { shape: [3] }, b: { shape: [3] } });
    const a = set.get('a');
    const b = set.get('b');
    a.write(new Float32Array([1, 2, 3]));
    b.write(new Float32Array([10, 20, 30]));
    using program = device.compile(() => ({
      outputs: { sum: a.tensor.add(b.tensor) },
      updates: [update(a, b.tensor), update(b, a.tensor)],
    }));
    const { sum } = program.run({});
    expect([...(await sum.data())]).toEqual([11, 22, 33]);
    expect([...(await a.read())]).toEqual([10, 20, 30]);
    expect([...(await b.read())]).toEqual([1, 2, 3]);
  });

  it('refuses a stale result, a wrong shape and a wrong dtype', async () => {
    using program = device.compile((inputs: { x: Tensor }) => ({ outputs: { y: inputs.x.mul(2) } }));
    const first = program.run({ x: hostTensor(new Float32Array([1, 2])) });
    const second = program.run({ x: hostTensor(new Float32Array([3, 4])) });
    await expect(first.y.data()).rejects.toMatchObject({ code: 'TENSOR_STALE_RESULT' });
    expect([...(await second.y.data())]).toEqual([6, 8]);
    expect(() => hostTensor(new Float32Array(3), [2, 2])).toThrow(/3 elements/);
  });

  it('says what it takes before it runs', () => {
    using program = device.compile((inputs: { x: Tensor }) => ({ outputs: { y: inputs.x.mul(2).add(1).tanh() } }));
    const report = program.report({ x: hostTensor(new Float32Array(8)) });
    expect(report.dispatches).toBe(1);
    expect(placeholder('x', [8], 'f32').size).toBe(8);
  });
});

describe('fusing', () => {
  it('makes one kernel of a product with bias, activation and residual', () => {
    const x = placeholder('x', [64, 64], 'f32');
    const dispatches = [true, false].map((fuse) => {
      using program = device.compile(
        (inputs: { x: Tensor }) => ({ outputs: { y: gelu(inputs.x.matmul(inputs.x).add(1)).mul(2).tanh() } }),
        { fuse },
      );
      return program.report({ x: hostTensor(new Float32Array(x.size), x.shape) }).dispatches;
    });
    expect(dispatches).toEqual([1, 5]);
  });
});

it('a device knows the bytes of its variables and programs, and that they were given back', () => {
  const before = device.bufferBytes;
  const variables = device.variables({ x: { shape: [1000] } });
  expect(device.bufferBytes - before).toBeGreaterThanOrEqual(4000);
  const program = device.compile(() => ({ outputs: { y: variables.get('x').tensor.exp() } }));
  const { arenaBytes } = program.report({});
  expect(device.bufferBytes - before).toBeGreaterThanOrEqual(4000 + arenaBytes);
  program[Symbol.dispose]();
  variables[Symbol.dispose]();
  expect(device.bufferBytes).toBe(before);
});

it('packs a tensor in two places, computed or constant, beside one that is computed in its place', async () => {
  const x = tensor(random(64, 1));
  const [twice, once, zero] = [x.mul(2), x.exp(), fill([64], 0)];
  const places = [twice, zero, once, twice, zero];
  const packed = pack(
    places,
    places.map((_, i) => i * 64),
    64 * places.length,
  );
  await expectLikeInterpreter([packed, twice]);
});
