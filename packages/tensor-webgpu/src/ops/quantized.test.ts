/** Quantised matrices: on the device as in the interpreter, and as the same matrix decoded first. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostTensor } from '../compile/program.js';
import type { Device } from '../device/device.js';
import { openDevice } from '../device/open.js';
import type { TypedArray } from '../dtype.js';
import { grad } from '../graph/gradient.js';
import { interpret } from '../graph/interpret.js';
import { type QuantizedFormat, quantize, quantizedShapes } from '../quantize.js';
import { placeholder, type Tensor, tensor, zeros } from '../tensor.js';
import { gelu } from './activation.js';
import { layerNorm } from './layer-norm.js';
import { dequantize } from './quantized.js';
import { rmsNorm } from './rms-norm.js';

const FORMATS = ['int8', 'int4'] as const;
const numbers = (count: number, seed: number, scale = 1) =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(i * i * 0.37 + i * seed + seed) * scale);
const ofShape = (shape: readonly number[], seed: number) =>
  tensor(
    numbers(
      shape.reduce((a, b) => a * b, 1),
      seed,
    ),
    shape,
  );

/** A matrix as it is decoded in kernels, and its values as floats. */
function matrix(N: number, K: number, format: QuantizedFormat, seed: number): { readonly packed: Tensor; readonly decoded: Tensor } {
  const { words, scales } = quantize(numbers(N * K, seed), [N, K], format);
  const shapes = quantizedShapes([N, K], format);
  const packed = dequantize(tensor(words, shapes.words), tensor(scales, shapes.scales), [N, K], format);
  return { packed, decoded: tensor(Float32Array.from(interpret([packed])[0]), [N, K]) };
}

async function expectLikeInterpreter(device: Device, tensors: readonly Tensor[]): Promise<void> {
  const actual = await device.run(tensors);
  const computed = interpret(tensors, { precision: 'f64' }).map((values) => Float64Array.from(values));
  computed.forEach((expected, i) => {
    const most = expected.reduce((largest: number, value: number) => Math.max(largest, Math.abs(value)), 0);
    for (let j = 0; j < expected.length; j++)
      if (!(Math.abs(actual[i][j] - expected[j]) <= 1e-4 * most))
        expect.fail(`output ${i} at ${j}: ${actual[i][j]}, expected ${expected[j]}`);
  });
}

const bits = (x: TypedArray) => Buffer.from(x.buffer, x.byteOffset, x.byteLength);

describe.each(FORMATS)('%s', (format) => {
  const shape = fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 140 }));

  it('keeps every value within half a step of its group, transposed or not', () => {
    fc.assert(
      fc.property(shape, fc.nat(1000), fc.constantFrom(1, 1e-30, 1e30), ([N, K], seed, scale) => {
        const values = numbers(N * K, seed, scale);
        const { words, scales } = quantize(values, [N, K], format);
        const across = Float32Array.from({ length: N * K }, (_, i) => values[(i % N) * K + Math.floor(i / N)]);
        expect(quantize(across, [N, K], format, { transposed: true })).toEqual({ words, scales });
        const shapes = quantizedShapes([N, K], format);
        const [decoded] = interpret([dequantize(tensor(words, shapes.words), tensor(scales, shapes.scales), [N, K], format)]);
        const group = format === 'int8' ? K : 32;
        for (let n = 0; n < N; n++) {
          for (let start = 0; start < K; start += group) {
            const own = values.subarray(n * K + start, n * K + Math.min(K, start + group));
            const largest = own.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
            // Sixteen steps from −8 to 7: what is as large as the largest, with the other sign, loses a whole step.
            const step = format === 'int8' ? largest / 127 / 2 : largest / 8;
            own.forEach((value, k) => {
              expect(Math.abs(decoded[n * K + start + k] - value)).toBeLessThanOrEqual(step * 1.0001);
            });
          }
        }
      }),
    );
  });
});

describe.each([
  ['of this adapter', {}],
  ['of a CPU without subgroups', { subgroups: false }],
] as const)('quantised products and rows, in the forms %s', (_, traits) => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice({ traits });
  });
  afterAll(() => device[Symbol.dispose]());

  const sizes = fc.record({
    M: fc.integer({ min: 1, max: 70 }),
    N: fc.oneof(fc.integer({ min: 1, max: 90 }), fc.constantFrom(64, 68, 320)),
    K: fc.oneof(fc.integer({ min: 1, max: 100 }), fc.constantFrom(32, 64, 96, 256)),
    format: fc.constantFrom(...FORMATS),
    seed: fc.nat(1000),
  });

  it('give the bits of the matrix decoded first', () =>
    fc.assert(
      fc.asyncProperty(sizes, async ({ M, N, K, format, seed }) => {
        const x = ofShape([M, K], seed);
        const bias = ofShape([N], seed + 1);
        const ids = tensor(Int32Array.from({ length: M }, (__, i) => ((i * 7 + seed) % (N + 1)) - 1));
        const { packed, decoded } = matrix(N, K, format, seed + 2);
        const build = (w: Tensor) => [
          x.matmul(w, { transposeB: true }).add(bias),
          x.matmul(w.transpose()),
          w.gatherRows(ids).add(x),
          w.mul(1),
        ];
        // Where columns are padded, the form may be another one, with another order of sums.
        const [actual, expected] = [await device.run(build(packed)), await device.run(build(decoded))];
        actual.forEach((values, i) => {
          if (N % 4 === 0 || i >= 2) expect(Buffer.compare(bits(values), bits(expected[i])), `output ${i}`).toBe(0);
          else for (const [j, value] of values.entries()) expect(value).toBeCloseTo(expected[i][j], 3);
        });
      }),
      { numRuns: 8 },
    ));

  it.each(FORMATS)('agree with the interpreter behind a norm and before a chain: %s', async (format) => {
    for (const M of [1, 9]) {
      const [x, weight, bias] = [ofShape([M, 64], 1), ofShape([64], 2), ofShape([64], 3)];
      const up = matrix(96, 64, format, 4).packed.transpose();
      const h = gelu(
        layerNorm(x, weight, bias)
          .matmul(up)
          .add(ofShape([96], 6)),
      );
      const logits = rmsNorm(h, ofShape([96], 7)).matmul(matrix(50, 96, format, 5).packed, { transposeB: true });
      await expectLikeInterpreter(device, [h, logits]);
    }
  });

  it('are differentiated by what is not quantised', async () => {
    const x = ofShape([5, 64], 1);
    const y = x.matmul(matrix(36, 64, 'int4', 2).packed, { transposeB: true });
    await expectLikeInterpreter(device, [grad(y.square().sum(), [x])[0]]);
  });

  it('are one dispatch each: nothing is decoded apart', () => {
    for (const format of FORMATS) {
      const { packed } = matrix(64, 64, format, 1);
      using program = device.compile(({ ids }: { ids: Tensor }) => ({
        outputs: { y: packed.gatherRows(ids).matmul(packed, { transposeB: true }) },
      }));
      const { byOp } = program.report({ ids: hostTensor(Int32Array.of(3)) });
      expect(byOp).toEqual([
        ['quantizedRows', 1],
        ['quantizedMatmul', 1],
      ]);
    }
  });

  it('give a row the same bits in every batch from 1 to 33', async () => {
    const [D, V] = [64, 260];
    const all = numbers(33 * D, 9);
    for (const format of FORMATS) {
      const up = matrix(4 * D, D, format, 1).packed.transpose();
      const down = matrix(D, 4 * D, format, 2).packed.transpose();
      const head = matrix(V, D, format, 3).packed;
      const norm = ofShape([D], 4);
      using program = device.compile(
        ({ x }: { x: Tensor }) => ({
          outputs: { y: gelu(rmsNorm(x, norm).matmul(up)).matmul(down).add(x).matmul(head, { transposeB: true }) },
        }),
        { batchInvariant: true },
      );
      const run = (from: number, rows: number) =>
        program.run({ x: hostTensor(all.slice(from * D, (from + rows) * D), [rows, D]) }).y.data();
      const whole = await run(0, 33);
      for (const rows of format === 'int4' ? Array.from({ length: 32 }, (__, i) => i + 1) : [1, 2, 4, 5, 17, 32]) {
        const from = (rows * 7) % (34 - rows);
        const expected = whole.slice(from * V, (from + rows) * V) as TypedArray;
        expect(Buffer.compare(bits(await run(from, rows)), bits(expected)), `${format}, ${rows} rows`).toBe(0);
      }
    }
  });
});

it.each(FORMATS)('workgroup tiles of %s agree with the interpreter', async (format) => {
  using gpu = await openDevice({ traits: { software: false, subgroups: false } });
  await expectLikeInterpreter(gpu, [ofShape([70, 100], 1).matmul(matrix(90, 100, format, 2).packed, { transposeB: true })]);
});

describe('mistakes are named', () => {
  const words = placeholder('words', quantizedShapes([8, 64], 'int8').words, 'u32');
  const scales = placeholder('scales', [2, 1, 4], 'f32');
  it.each([
    ['too few values', () => quantize(new Float32Array(5), [2, 3], 'int8'), 'quantize: 5 values for [2, 3]'],
    ['no number', () => quantize(Float32Array.of(0, 1, 2, Number.NaN), [2, 2], 'int4'), 'quantize: the value at [1, 1] is NaN'],
    ['words of another shape', () => dequantize(words, scales, [8, 96], 'int8'), 'dequantize: words is [2, 16, 4], expected [2, 24, 4]'],
    [
      'scales of another format',
      () => dequantize(zeros([2, 8, 4], 'u32'), scales, [8, 64], 'int4'),
      'dequantize: scales is [2, 1, 4], expected [2, 2, 4]',
    ],
    [
      'words of another dtype',
      () => dequantize(zeros([2, 16, 4], 'i32'), scales, [8, 64], 'int8'),
      'dequantize: words is i32, expected u32',
    ],
    [
      'a product that does not fit',
      () => zeros([3, 32]).matmul(dequantize(words, scales, [8, 64], 'int8').transpose()),
      'matmul: [3, 32] and',
    ],
  ])('%s', (__, build, message) => {
    expect(build).toThrow(message);
  });
});
