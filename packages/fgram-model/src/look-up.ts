/** The rows of matched positions, in the place of their tokens' embeddings. (SCONE, Alg. 1, inference) */
import { type PackedRowDtype, packedRowWords } from '@sconelm/tensor-webgpu';

/** Tells which rows cannot be had, where that is no error. */
interface ReadOptions {
  /** [ids.length]: becomes 1 where the source cannot give the row and may say so; it throws otherwise */
  readonly lost: Uint8Array;
}

/** Where rows come from. */
export interface RowSource {
  /** @param into [ids.length, width] */
  read(ids: Uint32Array, into: Float32Array, options: ReadOptions): void | Promise<void>;
  /** What rows are stored as; with `readEncoded`. */
  readonly dtype?: 'f32' | PackedRowDtype;
  /** Rows as they are stored, for whoever decodes them. @param into [ids.length · rowBytes] */
  readEncoded?(ids: Uint32Array, into: Uint8Array, options: ReadOptions): void | Promise<void>;
}

/** What the device decodes: the dtype of a source that gives rows of whole 32-bit words as they are stored. */
export function packedDtypeOf(source: RowSource | undefined, width: number): PackedRowDtype | undefined {
  const { dtype = 'f32', readEncoded } = source ?? {};
  if (dtype === 'f32' || readEncoded === undefined) return undefined;
  const hasOddHalf = (dtype === 'f16' || dtype === 'bf16') && width % 2 === 1;
  return hasOddHalf ? undefined : dtype;
}

/** What a decoder takes: a row where the token is −1, the token's own embedding elsewhere. */
export interface LookedUp<Rows = Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>> {
  /** [n] */
  readonly tokens: Int32Array<ArrayBuffer>;
  /** [n, width], or [n, words] as they are stored; zero where the token is not −1. */
  readonly rows: Rows;
}

/** Elements of one position's rows. */
export function rowElements(width: number, packed: PackedRowDtype | undefined): number {
  return packed === undefined ? width : packedRowWords(packed, width);
}

/**
 * Reads the rows of all matched positions at once. A row that is lost leaves its position to the token.
 * @param tokens [n] @param ids [n] of the longest f-gram that ends there, −1 where none
 */
export function lookUp(
  source: RowSource | undefined,
  tokens: ArrayLike<number>,
  ids: ArrayLike<number>,
  width: number,
): Promise<LookedUp<Float32Array<ArrayBuffer>>>;
/** @param packed rows are given as the source stores them, for the device to decode: `packedDtypeOf(source, width)` */
export function lookUp(
  source: RowSource | undefined,
  tokens: ArrayLike<number>,
  ids: ArrayLike<number>,
  width: number,
  packed: PackedRowDtype | undefined,
): Promise<LookedUp>;
export async function lookUp(
  source: RowSource | undefined,
  tokens: ArrayLike<number>,
  ids: ArrayLike<number>,
  width: number,
  packed?: PackedRowDtype,
): Promise<LookedUp> {
  const stride = rowElements(width, packed);
  const allocate = (rows: number) => (packed === undefined ? new Float32Array(rows * stride) : new Uint32Array(rows * stride));
  const given = { tokens: Int32Array.from(tokens), rows: allocate(tokens.length) };
  const positions: number[] = [];
  for (let i = 0; i < ids.length; i++) if (ids[i] >= 0) positions.push(i);
  if (source === undefined || positions.length === 0) return given;
  const found = allocate(positions.length);
  const lost = new Uint8Array(positions.length);
  const wanted = Uint32Array.from(positions, (position) => ids[position]);
  if (found instanceof Float32Array) await source.read(wanted, found, { lost });
  else if (source.readEncoded === undefined) throw new TypeError('lookUp: packed rows of a source that gives none');
  else await source.readEncoded(wanted, new Uint8Array(found.buffer), { lost });
  positions.forEach((position, i) => {
    if (lost[i] === 1) return;
    given.tokens[position] = -1;
    given.rows.set(found.subarray(i * stride, (i + 1) * stride), position * stride);
  });
  return given;
}
