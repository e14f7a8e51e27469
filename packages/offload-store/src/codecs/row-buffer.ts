/** A buffer of encoded rows, seen as rows of f32; bound once to its bytes, so that a read of one row makes no view. */
export interface RowBuffer {
  readonly bytes: Uint8Array;
  /**
   * Encodes the [width] values at `from` of `source` as row `row`.
   * @returns the index within the row of the first value that the dtype cannot hold (nothing is said about the row then), or -1
   */
  encode(row: number, source: Float32Array, from: number): number;
  /** Decodes `count` rows from row `row` on into `into` at `to`. */
  decode(row: number, count: number, into: Float32Array, to: number): void;
}
