/** Where the rows of a call's sequences are in a cache: in order, or in blocks that a table names. */
export interface Places {
  /** Rows per block, a multiple of 8, where `lengths` are tables: a length and the blocks after it, for each sequence. 0: sequence b is cache[b]. */
  readonly blockRows: number;
}

/** What the inputs of a call say about it. @param lengths [B] or [B, 1 + M] @param cache [.., C, D] */
export const placesOf = (lengths: readonly number[], cache: readonly number[]): Places => ({
  blockRows: lengths.length === 2 ? cache[1] : 0,
});

/**
 * WGSL: `lengthOf(b)` rows of sequence b, and `rowsFrom(b, j)`, such that row k of the cache's sequence is at `rowsFrom(b, j) + k` for all k of
 * the eight from a multiple j of eight on: one look-up in the table serves them. It may wrap below zero.
 * @param table the binding @param M blocks in a table; capacity: rows of a sequence that has no table
 */
export const placeFunctions = ({ blockRows }: Places, table: string): string =>
  blockRows === 0
    ? `
fn lengthOf(b: u32) -> u32 { return u32(${table}[b]); }
fn rowsFrom(b: u32, j: u32) -> u32 { return b * u.capacity; }`
    : `
fn lengthOf(b: u32) -> u32 { return u32(${table}[b * u.capacity]); }
fn rowsFrom(b: u32, j: u32) -> u32 {
  let block = j / ${blockRows}u;
  return (u32(${table}[b * u.capacity + 1u + block]) - block) * ${blockRows}u;
}`;
