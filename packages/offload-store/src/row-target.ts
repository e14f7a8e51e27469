/** Where a caller wants his rows: decoded into f32, or as they are stored. One small object per read, no closures: reads of one row feel them. */
import type { RowBuffer } from './row-dtype.js';

export interface RowTarget {
  /** Hands over `count` rows from `row` on of a buffer, as the caller's rows from `to` on. */
  deliver(rows: RowBuffer, row: number, count: number, to: number): void;
  /** The place of the caller's rows from `to` on, if he gets them as they are stored: they need no buffer between. */
  place(to: number, count: number): Uint8Array | undefined;
}

/** [n, width] f32. */
export class DecodedTarget implements RowTarget {
  readonly #into: Float32Array;
  readonly #width: number;
  readonly #isStoredSo: boolean;

  /** @param isStoredSo the rows are f32 in the store too */
  constructor(into: Float32Array, width: number, isStoredSo: boolean) {
    this.#into = into;
    this.#width = width;
    this.#isStoredSo = isStoredSo;
  }

  deliver(rows: RowBuffer, row: number, count: number, to: number): void {
    rows.decode(row, count, this.#into, to * this.#width);
  }

  place(to: number, count: number): Uint8Array | undefined {
    const { buffer, byteOffset } = this.#into;
    return this.#isStoredSo ? new Uint8Array(buffer, byteOffset + to * this.#width * 4, count * this.#width * 4) : undefined;
  }
}

/** [n * rowBytes] */
export class EncodedTarget implements RowTarget {
  readonly #into: Uint8Array;
  readonly #rowBytes: number;

  constructor(into: Uint8Array, rowBytes: number) {
    this.#into = into;
    this.#rowBytes = rowBytes;
  }

  deliver({ bytes }: RowBuffer, row: number, count: number, to: number): void {
    this.#into.set(bytes.subarray(row * this.#rowBytes, (row + count) * this.#rowBytes), to * this.#rowBytes);
  }

  place(to: number, count: number): Uint8Array {
    return this.#into.subarray(to * this.#rowBytes, (to + count) * this.#rowBytes);
  }
}
