import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bf16Rows, F16Rows } from './float.js';
import { KernelRows, runsKernel } from './kernel.js';
import { Int4Rows, Int8Rows } from './quantized.js';

it('the module runs here', () => {
  expect(runsKernel).toBe(true);
});

/** Values of every magnitude, many of them equal or opposite, some that no row can hold. */
const value = fc.oneof(
  { weight: 8, arbitrary: fc.float({ min: -4, max: 4, noNaN: true }) },
  { weight: 4, arbitrary: fc.constantFrom(0, -0, 1, -1, 0.5, -0.5, 127, -127) },
  { weight: 4, arbitrary: fc.float({ noNaN: true, noDefaultInfinity: true }) },
  { weight: 4, arbitrary: fc.integer({ min: -300, max: 300 }).map((n) => n * 2 ** -149) },
  { weight: 4, arbitrary: fc.integer({ min: -300, max: 300 }).map((n) => n * 2 ** -27) },
);
const row = fc.oneof(
  { weight: 9, arbitrary: fc.array(value, { minLength: 1, maxLength: 100 }) },
  { weight: 1, arbitrary: fc.array(fc.float(), { minLength: 1, maxLength: 100 }) },
);
const scale = fc.constantFrom(1, 1, 1e-38, 3e-8, 1e4);
/** Widths of one vector and a bit, of one row in the module's memory, and of more than it has at first. */
const filler = fc.oneof({ weight: 20, arbitrary: fc.nat(40) }, { weight: 1, arbitrary: fc.constantFrom(9000, 17_000, 40_000) });

describe.each([
  { form: 'F16', Plain: F16Rows },
  { form: 'Bf16', Plain: Bf16Rows },
  { form: 'Int8', Plain: Int8Rows },
  { form: 'Int4', Plain: Int4Rows },
] as const)('$form rows of the module', ({ form, Plain }) => {
  const pair = (width: number, rows: number) => {
    const plain = new Plain(width, rows);
    return [plain, new KernelRows(form, width, rows, plain.bytes.length / rows)] as const;
  };

  it('are those of plain TypeScript, bit for bit, encoded and decoded', () => {
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 5 }), scale, filler, (seeds, factor, extra) => {
        const width = seeds[0].length + extra;
        const rows = seeds.map((seed) =>
          Float32Array.from({ length: width }, (_, i) => seed[i % seed.length] * (i < 64 ? 1 : 0.3) * factor),
        );
        const [plain, kernel] = pair(width, rows.length);
        const beyond = rows.map((values, i) => plain.encode(i, values, 0));
        expect(rows.map((values, i) => kernel.encode(i, Float32Array.of(9, ...values), 1))).toEqual(beyond);
        // Nothing is said about rows that cannot be held.
        const rowBytes = plain.bytes.length / rows.length;
        for (const buffer of [plain, kernel]) {
          beyond.forEach((at, i) => {
            if (at >= 0) buffer.bytes.fill(0, i * rowBytes, (i + 1) * rowBytes);
          });
        }
        expect(Buffer.compare(kernel.bytes, plain.bytes)).toBe(0);
        const decoded = [plain, kernel].map((buffer) => {
          const into = new Float32Array(rows.length * width + 3).fill(7);
          buffer.decode(0, rows.length, into, 2);
          return Buffer.from(into.buffer);
        });
        expect(Buffer.compare(decoded[0], decoded[1])).toBe(0);
      }),
      { numRuns: 500 },
    );
  });

  it('pass through in parts when there are many', () => {
    const width = 37;
    const count = 5000;
    const values = Float32Array.from({ length: width * count }, (_, i) => Math.sin(i));
    const [plain, kernel] = pair(width, count);
    for (const buffer of [plain, kernel]) for (let i = 0; i < count; i += 1) buffer.encode(i, values, i * width);
    const [expected, got] = [new Float32Array(values.length), new Float32Array(values.length)];
    plain.decode(0, count, expected, 0);
    kernel.decode(0, count, got, 0);
    expect(Buffer.compare(Buffer.from(got.buffer), Buffer.from(expected.buffer))).toBe(0);
  });
});
