/**
 * Row dtypes: how [width] f32 values become rowBytes bytes and back. A codec is bound once to a buffer of rows, so that a read
 * of one row makes no view. Bytes are little-endian, whatever the machine.
 */
import { decodeHalves, encodeHalves } from './float16.js';

export const rowDtypes = ['f32', 'f16'] as const;
export type RowDtype = (typeof rowDtypes)[number];

/** A buffer of encoded rows, seen as rows of f32. */
export interface RowBuffer {
  readonly bytes: Uint8Array;
  /**
   * Encodes the [width] values at `from` of `source` as row `row`.
   * @returns the index within the row of the first finite value that the dtype cannot hold, or -1
   */
  encode(row: number, source: Float32Array, from: number): number;
  /** Decodes `count` rows from row `row` on into `into` at `to`. */
  decode(row: number, count: number, into: Float32Array, to: number): void;
}

const elementBytes: Record<RowDtype, number> = { f32: 4, f16: 2 };

export function rowBytesOf(dtype: RowDtype, width: number): number {
  return width * elementBytes[dtype];
}

/** A new buffer of `rows` rows of [width] in `dtype`. */
export function allocateRows(dtype: RowDtype, width: number, rows: number): RowBuffer {
  expectLittleEndian();
  return dtype === 'f32' ? new F32Rows(width, rows) : new F16Rows(width, rows);
}

class F32Rows implements RowBuffer {
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

class F16Rows implements RowBuffer {
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

function expectLittleEndian(): void {
  if (new Uint8Array(Uint16Array.of(1).buffer)[0] !== 1) throw new Error('stores are little-endian; this machine is not');
}
