import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allocateRows, type RowDtype, rowBytesOf, rowDtypes } from './row-dtype.js';

/** What encoding and decoding may change of a value, given the row (or group) it is in. */
const tolerance: Readonly<Record<RowDtype, (value: number, largest: number) => number>> = {
  f32: () => 0,
  f16: (value) => Math.abs(value) * 2 ** -11 + 2 ** -25,
  bf16: (value) => Math.abs(value) * 2 ** -8 + 2 ** -134,
  int8: (_, largest) => (largest / 127) * 0.5001 + 2 ** -142,
  // Half a step; a whole one for elements opposite to the largest; the rounding of the scale, eight times, on top.
  int4: (_, largest) => (largest / 8) * 1.005 + 2 ** -21,
};

function roundTrip(dtype: RowDtype, width: number, rows: Float32Array): Float32Array {
  const count = rows.length / width;
  const buffer = allocateRows(dtype, width, count);
  for (let row = count - 1; row >= 0; row--) expect(buffer.encode(row, rows, row * width)).toBe(-1);
  expect(buffer.bytes.length).toBe(count * rowBytesOf(dtype, width));
  const decoded = new Float32Array(rows.length + 2).fill(7);
  buffer.decode(0, count, decoded, 1);
  expect([decoded[0], decoded.at(-1)]).toEqual([7, 7]);
  const single = new Float32Array(width);
  buffer.decode(count - 1, 1, single, 0);
  expect(single).toEqual(decoded.slice(1 + rows.length - width, 1 + rows.length));
  return decoded.slice(1, -1);
}

describe.each(rowDtypes)('%s rows', (dtype) => {
  it('come back within what their form can hold', () => {
    const magnitude = fc.constantFrom(1e-30, 1e-6, 1, 1000);
    const element = fc.double({ min: -60, max: 60, noNaN: true });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100 }),
        fc.integer({ min: 1, max: 4 }),
        magnitude,
        fc.array(element),
        (width, count, m, seeds) => {
          const rows = Float32Array.from(
            { length: width * count },
            (_, i) => (seeds[i % (seeds.length || 1)] ?? i % 60) * m * (1 - (i % 7) / 9),
          );
          const back = roundTrip(dtype, width, rows);
          const group = dtype === 'int4' ? 32 : width;
          for (let i = 0; i < rows.length; i++) {
            const row = Math.floor(i / width) * width;
            const start = row + Math.floor((i - row) / group) * group;
            const largest = Math.max(...rows.subarray(start, Math.min(start + group, row + width)).map(Math.abs));
            expect(Math.abs(back[i] - rows[i])).toBeLessThanOrEqual(tolerance[dtype](rows[i], largest));
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it('keep zeros', () => {
    expect(roundTrip(dtype, 5, new Float32Array(10))).toEqual(new Float32Array(10));
  });
});

describe('a value that a dtype cannot hold', () => {
  const cases: readonly (readonly [RowDtype, number])[] = [
    ['f16', 65_520],
    ['bf16', 3.4e38],
    ['int8', Number.POSITIVE_INFINITY],
    ['int8', Number.NaN],
    ['int4', Number.NaN],
    ['int4', -6e5],
  ];
  it.each(cases)('%s: %d is named by its index', (dtype, value) => {
    const width = 40;
    const row = new Float32Array(width).fill(1);
    row[37] = value;
    expect(allocateRows(dtype, width, 1).encode(0, row, 0)).toBe(37);
  });
});

describe('the bytes of a row are laid out as the README says', () => {
  const width = 40;
  const row = Float32Array.from({ length: width }, (_, d) => ((d * 37) % 41) - 20);
  const encoded = (dtype: RowDtype) => {
    const rows = allocateRows(dtype, width, 2);
    rows.encode(1, row, 0);
    const decoded = new Float32Array(width);
    rows.decode(1, 1, decoded, 0);
    const rowBytes = rowBytesOf(dtype, width);
    return { view: new DataView(rows.bytes.buffer, rows.bytes.byteOffset + rowBytes, rowBytes), rowBytes, decoded: [...decoded] };
  };
  /** Of whole numbers and powers of two. */
  const half = (bits: number) => ((bits & 0x8000) !== 0 ? -1 : 1) * 2 ** (((bits >> 10) & 31) - 15) * (1 + (bits & 1023) / 1024);
  const elements = (of: (d: number) => number) => Array.from({ length: width }, (_, d) => of(d) + 0); // -0 is 0

  it('int8: bytes, then the scale', () => {
    const { view, rowBytes, decoded } = encoded('int8');
    const scale = view.getFloat32(rowBytes - 4, true);
    expect(rowBytes).toBe(44);
    expect(elements((d) => Math.fround(view.getInt8(d) * scale))).toEqual(decoded);
  });

  it('int4: half bytes by groups, then the scales', () => {
    const { view, rowBytes, decoded } = encoded('int4');
    expect(rowBytes).toBe(36);
    const nibble = (d: number) => (view.getUint8(Math.floor(d / 2)) >> (4 * (d % 2))) & 15;
    expect(elements((d) => (nibble(d) - 8) * half(view.getUint16(32 + 2 * Math.floor(d / 32), true)))).toEqual(decoded.map((x) => x + 0));
  });
});

it('int8 rows take half of the bytes of f16, and int4 a little more than a quarter', () => {
  expect(['f32', 'f16', 'bf16', 'int8', 'int4'].map((dtype) => rowBytesOf(dtype as RowDtype, 1024))).toEqual([4096, 2048, 2048, 1028, 576]);
});
