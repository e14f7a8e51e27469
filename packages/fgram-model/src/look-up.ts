/** The rows of matched positions, in the place of their tokens' embeddings. (SCONE, Alg. 1, inference) */

/** Where rows come from. */
export interface RowSource {
  /**
   * @param into [ids.length, width]
   * @param options.lost [ids.length]: becomes 1 where the source cannot give the row and may say so; it throws otherwise
   */
  read(ids: Uint32Array, into: Float32Array, options: { readonly lost: Uint8Array }): void | Promise<void>;
}

/** What a decoder takes: a row where the token is −1, the token's own embedding elsewhere. */
export interface LookedUp {
  /** [n] */
  readonly tokens: Int32Array<ArrayBuffer>;
  /** [n, width], zero where the token is not −1. */
  readonly rows: Float32Array<ArrayBuffer>;
}

/**
 * Reads the rows of all matched positions at once. A row that is lost leaves its position to the token.
 * @param tokens [n] @param ids [n] of the longest f-gram that ends there, −1 where none
 */
export async function lookUp(
  source: RowSource | undefined,
  tokens: ArrayLike<number>,
  ids: ArrayLike<number>,
  width: number,
): Promise<LookedUp> {
  const given = { tokens: Int32Array.from(tokens), rows: new Float32Array(tokens.length * width) };
  const positions: number[] = [];
  for (let i = 0; i < ids.length; i++) if (ids[i] >= 0) positions.push(i);
  if (source === undefined || positions.length === 0) return given;
  const found = new Float32Array(positions.length * width);
  const lost = new Uint8Array(positions.length);
  const wanted = Uint32Array.from(positions, (position) => ids[position]);
  await source.read(wanted, found, { lost });
  positions.forEach((position, i) => {
    if (lost[i] === 1) return;
    given.tokens[position] = -1;
    given.rows.set(found.subarray(i * width, (i + 1) * width), position * width);
  });
  return given;
}
