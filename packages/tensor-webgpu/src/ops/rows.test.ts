/** Rows as stores keep them, and sums of gathered rows, against the interpreter and the same sums op by op. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostTensor } from '../compile/program.js';
import type { Device } from '../device/device.js';
import { openDevice } from '../device/open.js';
import type { TypedArray } from '../dtype.js';
import { interpret } from '../graph/interpret.js';
import { packedRowDtypes, packedRowWords } from '../kernels/packed-rows.js';
import { quantize, quantizedShapes } from '../quantize.js';
import { placeholder, type Tensor, tensor } from '../tensor.js';
import { dequantize } from './quantized.js';
import { decodeRows } from './rows.js';

let device: Device;
beforeAll(async () => {
  device = await openDevice();
});
afterAll(() => device[Symbol.dispose]());

const numbers = (count: number, seed: number) => Float32Array.from({ length: count }, (_, i) => Math.sin(i * i * 0.37 + i * seed + seed));
const bits = (x: TypedArray) => new Uint32Array(x.buffer, x.byteOffset, x.length);

describe('decodeRows', () => {
  it.each(packedRowDtypes)('gives the bits of the interpreter: %s', async (dtype) => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 150 }), fc.nat(1000), async (n, width, seed) => {
        const stride = packedRowWords(dtype, width);
        const words = Uint32Array.from({ length: n * stride }, (_, i) => Math.imul(i + 1, 2654435761) ^ Math.imul(seed, 40503));
        // Scales and halves that are finite numbers of ordinary size: exponents from −7 to 8.
        const half = (x: number) => (x & 0x83ff) | ((8 + ((x >>> 10) & 15)) << 10);
        if (dtype === 'f16')
          words.forEach((x, i) => {
            words[i] = half(x & 0xffff) | (half(x >>> 16) << 16);
          });
        if (dtype === 'bf16')
          words.forEach((x, i) => {
            words[i] = (x & 0xbfffbfff) | 0x20002000;
          });
        for (let row = 0; row < n; row++) {
          if (dtype === 'int8') words[(row + 1) * stride - 1] = new Uint32Array(Float32Array.of(0.01 * (seed + 1) + row).buffer)[0];
          if (dtype === 'int4')
            for (let at = row * stride + Math.ceil(width / 32) * 4; at < (row + 1) * stride; at++)
              words[at] = half(words[at] & 0xffff) | (half(words[at] >>> 16) << 16);
        }
        const rows = decodeRows(tensor(words, [n, stride]), width, dtype);
        expect(bits((await device.run([rows]))[0])).toEqual(bits(interpret([rows])[0] as Float32Array<ArrayBuffer>));
      }),
      { numRuns: 20 },
    );
  });

  it('every finite half, the smallest too', async () => {
    const halves = Uint32Array.from({ length: 2 ** 15 }, (_, i) => (2 * i) | ((2 * i + 1) << 16));
    const rows = decodeRows(tensor(halves, [2 ** 9, 64]), 128, 'f16');
    const [actual] = await device.run([rows]);
    interpret([rows])[0].forEach((value, i) => {
      if (Number.isFinite(value) && !Object.is(actual[i], value)) expect.fail(`half ${i}: ${actual[i]}, expected ${value}`);
    });
  });

  it('names what does not fit', () => {
    expect(() => decodeRows(placeholder('w', [3, 16], 'u32'), 64, 'int8')).toThrow(
      'decodeRows: words are [3, 16], expected [n, 17] for int8 rows of 64',
    );
    expect(() => decodeRows(placeholder('w', [3, 32], 'i32'), 64, 'f16')).toThrow('decodeRows: words are i32, expected u32');
  });
});

it.each([64, 30])('sums of gathered rows are one dispatch and have the bits of op by op: %i columns', async (D) => {
  const shapes = quantizedShapes([11, D], 'int8');
  const { words, scales } = quantize(numbers(11 * D, 1), [11, D], 'int8');
  const table = dequantize(tensor(words, shapes.words), tensor(scales, shapes.scales), [11, D], 'int8');
  const positions = tensor(numbers(7 * D, 2), [7, D]);
  const stride = packedRowWords('bf16', D);
  type Inputs = { tokens: Tensor; places: Tensor; rows: Tensor; scale: Tensor };
  const build = ({ tokens, places, rows, scale }: Inputs) => ({
    outputs: {
      y: table
        .gatherRows(tokens)
        .add(positions.gatherRows(places))
        .add(decodeRows(rows, D, 'bf16'))
        .mul(scale),
    },
  });
  const inputs = {
    tokens: hostTensor(Int32Array.of(10, -1, 3)),
    places: hostTensor(Int32Array.of(0, 6, -1)),
    rows: hostTensor(
      Uint32Array.from({ length: 3 * stride }, (_, i) => (i < stride ? 0 : 0x3f80_3fa0 + i)),
      [3, stride],
    ),
    scale: hostTensor(numbers(3 * D, 3), [3, D]),
  };
  using fused = device.compile(build);
  using apart = device.compile(build, { fuse: false });
  expect([fused.report(inputs).dispatches, apart.report(inputs).dispatches]).toEqual([1, 6]);
  expect(bits(await fused.run(inputs).y.data())).toEqual(bits(await apart.run(inputs).y.data()));
});
