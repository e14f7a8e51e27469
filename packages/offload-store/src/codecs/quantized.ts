/**
 * Rows of small integers with scales. A row is padded to whole 32-bit words, so that a GPU can unpack it where it lies.
 *   int8: i8 × width, padding, f32 scale            x ≈ q · scale,        scale = max|x| / 127, q in -127..127
 *   int4: groups of 32: 16 bytes each (element 2i in the low half of byte i), then f16 scales, padding
 *                                                   x ≈ (q - 8) · scale,  scale = m / -8, q in 0..15, m the group's largest element
 * Dividing the element of largest magnitude by -8 rather than magnitudes by 7 uses all sixteen values. [llama.cpp, Q4_0]
 */
import { decodeHalves, encodeHalves } from './float16.js';
import type { RowBuffer } from './row-buffer.js';

const wholeWords = (bytes: number): number => Math.ceil(bytes / 4) * 4;

export const int8RowBytes = (width: number): number => wholeWords(width) + 4;

/** Adding and taking away 1.5 · 2^52 rounds a double of small magnitude to the nearest integer, ties to even. */
const ROUND = 1.5 * 2 ** 52;
const LARGEST_F32 = 3.4028234663852886e38;

export class Int8Rows implements RowBuffer {
  readonly bytes: Uint8Array;
  readonly #width: number;
  readonly #rowBytes: number;
  readonly #values: Int8Array;
  readonly #words: Float32Array;
  constructor(width: number, rows: number) {
    this.#width = width;
    this.#rowBytes = int8RowBytes(width);
    this.bytes = new Uint8Array(rows * this.#rowBytes);
    this.#values = new Int8Array(this.bytes.buffer);
    this.#words = new Float32Array(this.bytes.buffer);
  }
  encode(row: number, source: Float32Array, from: number): number {
    const [width, values] = [this.#width, this.#values];
    let largest = 0;
    for (let i = 0; i < width; i += 1) {
      const magnitude = Math.abs(source[from + i]!);
      if (!(magnitude <= LARGEST_F32)) return i;
      largest = Math.max(largest, magnitude);
    }
    const scale = Math.fround(largest / 127);
    const inverse = scale === 0 ? 0 : 1 / scale;
    const at = row * this.#rowBytes;
    // The smallest scales are so coarse that a quotient can pass 127.
    if (scale < 2 ** -126) {
      for (let i = 0; i < width; i += 1) values[at + i] = Math.max(-127, Math.min(127, source[from + i]! * inverse + ROUND - ROUND));
    } else for (let i = 0; i < width; i += 1) values[at + i] = source[from + i]! * inverse + ROUND - ROUND;
    this.#words[(at + this.#rowBytes) / 4 - 1] = scale;
    return -1;
  }
  decode(row: number, count: number, into: Float32Array, to: number): void {
    const [width, values, rowBytes] = [this.#width, this.#values, this.#rowBytes];
    for (let r = 0; r < count; r += 1) {
      const from = (row + r) * rowBytes;
      const scale = this.#words[(from + rowBytes) / 4 - 1]!;
      const target = to + r * width;
      for (let i = 0; i < width; i += 1) into[target + i] = values[from + i]! * scale;
    }
  }
}

/** Elements that share a scale. */
const GROUP = 32;
const GROUP_BYTES = GROUP / 2;

export const int4RowBytes = (width: number): number => wholeWords(Math.ceil(width / GROUP) * (GROUP_BYTES + 2));

export class Int4Rows implements RowBuffer {
  readonly bytes: Uint8Array;
  readonly #width: number;
  readonly #groups: number;
  readonly #rowBytes: number;
  readonly #halves: Uint16Array;
  /** Scales of the row at hand. */
  readonly #scales: Float32Array;
  readonly #scaleBits: Uint32Array;
  constructor(width: number, rows: number) {
    this.#width = width;
    this.#groups = Math.ceil(width / GROUP);
    this.#rowBytes = int4RowBytes(width);
    this.bytes = new Uint8Array(rows * this.#rowBytes);
    this.#halves = new Uint16Array(this.bytes.buffer);
    this.#scales = new Float32Array(this.#groups);
    this.#scaleBits = new Uint32Array(this.#scales.buffer);
  }
  encode(row: number, source: Float32Array, from: number): number {
    const at = row * this.#rowBytes;
    const halvesAt = at / 2 + (this.#groups * GROUP_BYTES) / 2;
    for (let g = 0; g < this.#groups; g += 1) {
      const end = Math.min(this.#width, (g + 1) * GROUP);
      let extreme = 0;
      let extremeAt = g * GROUP;
      for (let i = g * GROUP; i < end; i += 1) {
        const value = source[from + i]!;
        if (!(Math.abs(value) <= LARGEST_F32)) return i;
        if (Math.abs(value) > Math.abs(extreme)) {
          extreme = value;
          extremeAt = i;
        }
      }
      this.#scales[g] = extreme === 0 ? 0 : extreme / -8;
      if (encodeHalves(this.#scaleBits, g, this.#halves, halvesAt + g, 1) >= 0) return extremeAt;
    }
    decodeHalves(this.#halves, halvesAt, this.#scales, 0, this.#groups);
    for (let g = 0; g < this.#groups; g += 1) {
      const scale = this.#scales[g]!;
      const inverse = scale === 0 ? 0 : 1 / scale;
      for (let b = 0; b < GROUP_BYTES; b += 1) {
        const i = g * GROUP + 2 * b;
        const low = i < this.#width ? nibbleOf(source[from + i]! * inverse) : 8;
        const high = i + 1 < this.#width ? nibbleOf(source[from + i + 1]! * inverse) : 8;
        this.bytes[at + g * GROUP_BYTES + b] = low | (high << 4);
      }
    }
    return -1;
  }
  decode(row: number, count: number, into: Float32Array, to: number): void {
    const [width, bytes] = [this.#width, this.bytes];
    for (let r = 0; r < count; r += 1) {
      const from = (row + r) * this.#rowBytes;
      decodeHalves(this.#halves, from / 2 + (this.#groups * GROUP_BYTES) / 2, this.#scales, 0, this.#groups);
      const target = to + r * width;
      const pairs = width >>> 1;
      for (let b = 0; b < pairs; b += 1) {
        const pair = bytes[from + b]!;
        const scale = this.#scales[b >>> 4]!;
        into[target + 2 * b] = ((pair & 15) - 8) * scale;
        into[target + 2 * b + 1] = ((pair >>> 4) - 8) * scale;
      }
      if (width % 2 === 1) into[target + width - 1] = ((bytes[from + pairs]! & 15) - 8) * this.#scales[pairs >>> 4]!;
    }
  }
}

const nibbleOf = (quotient: number): number => Math.max(0, Math.min(15, quotient + ROUND - ROUND + 8));
