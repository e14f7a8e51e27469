/** Rows of floating-point numbers: width elements of f32, f16 or bf16, little-endian. */
import { decodeHalves, encodeHalves } from './float16.js';
import type { RowBuffer } from './row-buffer.js';

export class F32Rows implements RowBuffer {
  readonly bytes: Uint8Array;
  readonly #width: number;
  readonly #values: Float32Array;
  constructor(width: number, rows: number) {
    this.#width = width;
    this.#values = new Float32Array(rows * width);
    this.bytes = new Uint8Array(this.#values.buffer);
  }
  encode(row: number, source: Float32Array, from: number): number {
    this.#values.set(source.subarray(from, from + this.#width), row * this.#width);
    return -1;
  }
  decode(row: number, count: number, into: Float32Array, to: number): void {
    into.set(this.#values.subarray(row * this.#width, (row + count) * this.#width), to);
  }
}

export class F16Rows implements RowBuffer {
  readonly bytes: Uint8Array;
  readonly #width: number;
  readonly #halves: Uint16Array;
  constructor(width: number, rows: number) {
    this.#width = width;
    this.#halves = new Uint16Array(rows * width);
    this.bytes = new Uint8Array(this.#halves.buffer);
  }
  encode(row: number, source: Float32Array, from: number): number {
    const bits = new Uint32Array(source.buffer, source.byteOffset + from * 4, this.#width);
    return encodeHalves(bits, 0, this.#halves, row * this.#width, this.#width);
  }
  decode(row: number, count: number, into: Float32Array, to: number): void {
    decodeHalves(this.#halves, row * this.#width, into, to, count * this.#width);
  }
}

/** The upper half of an f32, rounded to nearest, ties to even: every finite f32 fits but those within 2^-9 of the largest. */
export class Bf16Rows implements RowBuffer {
  readonly bytes: Uint8Array;
  readonly #width: number;
  readonly #halves: Uint16Array;
  constructor(width: number, rows: number) {
    this.#width = width;
    this.#halves = new Uint16Array(rows * width);
    this.bytes = new Uint8Array(this.#halves.buffer);
  }
  encode(row: number, source: Float32Array, from: number): number {
    const bits = new Uint32Array(source.buffer, source.byteOffset + from * 4, this.#width);
    const at = row * this.#width;
    for (let i = 0; i < this.#width; i += 1) {
      const word = bits[i]!;
      const magnitude = word & 0x7fffffff;
      if (magnitude >= 0x7f800000) {
        this.#halves[at + i] = (word >>> 16) | (magnitude > 0x7f800000 ? 0x40 : 0); // a NaN must not become an infinity
        continue;
      }
      if (magnitude >= 0x7f7f8000) return i;
      this.#halves[at + i] = (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
    }
    return -1;
  }
  decode(row: number, count: number, into: Float32Array, to: number): void {
    const size = count * this.#width;
    const bits = new Uint32Array(into.buffer, into.byteOffset + to * 4, size);
    const from = row * this.#width;
    for (let i = 0; i < size; i += 1) bits[i] = this.#halves[from + i]! << 16;
  }
}
