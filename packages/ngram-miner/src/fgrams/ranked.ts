/** The f-grams of a set in order of rank, one column each: what mining ends in, and what the set's file is made from. (SCONE, Alg. 3) */

/**
 * Id i is rank i: count descending, then shorter first, then token ids ascending. Because the set is closed under prefixes, an f-gram is its
 * longest prefix and one more token.
 */
export interface RankedFgrams {
  readonly size: number;
  /** K. */
  readonly maxLength: number;
  readonly vocabSize: number;
  readonly boundary: number;
  /** [S] node of the prefix: a token (below vocabSize) for f-grams of two tokens, else vocabSize + its id, which is smaller than the own one. */
  readonly parents: Uint32Array;
  /** [S] the last token. */
  readonly tokens: Uint16Array | Uint32Array;
  /** [S] how often it occurs, as often as 2^53 times. */
  readonly counts: Float64Array | Uint32Array;
}
