/**
 * Rows as a store of rows keeps them, as 32-bit words, little-endian, a whole number to each row:
 *   f16, bf16: halves                                      int8: i8 values, then the row's f32 scale in a word of its own
 *   int4: groups of 32 values in 16 bytes, q + 8 in a nibble, the first in the lowest; then an f16 scale per group
 */
import { fromHalfBits } from '../dtype.js';

export const packedRowDtypes = ['f16', 'bf16', 'int8', 'int4'] as const;
export type PackedRowDtype = (typeof packedRowDtypes)[number];

/** Words of a row of `width` values. */
export function packedRowWords(dtype: PackedRowDtype, width: number): number {
  if (dtype === 'int8') return Math.ceil(width / 4) + 1;
  if (dtype === 'int4') return Math.ceil((Math.ceil(width / 32) * 18) / 4);
  return Math.ceil(width / 2);
}

/** WGSL of {@link packedRowWords}. */
const rowWords = (dtype: PackedRowDtype, D: string) =>
  dtype === 'int8' ? `((${D} + 3u) / 4u + 1u)` : dtype === 'int4' ? `((${D} + 31u) / 32u * 18u + 3u) / 4u` : `((${D} + 1u) / 2u)`;

/** `packed{suffix}(row, column)`: one value, of a binding `words{suffix}: u32`. */
export function packedRowFunction(dtype: PackedRowDtype, D: string, suffix: string): string {
  const words = `words${suffix}`;
  const body = {
    f16: `return unpack2x16float(${words}[at + column / 2u])[column % 2u];`,
    bf16: `return bitcast<f32>((${words}[at + column / 2u] >> (column % 2u * 16u)) << 16u);`,
    int8: `let q = extractBits(bitcast<i32>(${words}[at + column / 4u]), column % 4u * 8u, 8u);
  return f32(q) * bitcast<f32>(${words}[at + stride - 1u]);`,
    int4: `let q = i32((${words}[at + column / 8u] >> (column % 8u * 4u)) & 15u) - 8;
  let group = column / 32u;
  return f32(q) * unpack2x16float(${words}[at + (${D} + 31u) / 32u * 4u + group / 2u])[group % 2u];`,
  }[dtype];
  return `
fn packed${suffix}(row: u32, column: u32) -> f32 {
  let stride = ${rowWords(dtype, D)};
  let at = row * stride;
  ${body}
}`;
}

const bits = new Uint32Array(1);
const float = new Float32Array(bits.buffer);
/** The f32 of these bits. */
function fromBits(word: number): number {
  bits[0] = word;
  return float[0];
}

/** The value at `column` of a row that begins at word `at`. */
export function packedValue(words: ArrayLike<number>, at: number, column: number, dtype: PackedRowDtype, width: number): number {
  const half = (index: number) => (words[at + (index >> 1)] >>> (16 * (index & 1))) & 0xffff;
  if (dtype === 'f16') return fromHalfBits(half(column));
  if (dtype === 'bf16') return fromBits(half(column) << 16);
  if (dtype === 'int8') {
    const q = (words[at + (column >> 2)] << (24 - 8 * (column & 3))) >> 24;
    return Math.fround(q * fromBits(words[at + packedRowWords(dtype, width) - 1]));
  }
  const q = ((words[at + (column >> 3)] >>> (4 * (column & 7))) & 15) - 8;
  return q * fromHalfBits(half(Math.ceil(width / 32) * 8 + (column >> 5)));
}
