/**
 * What a store says about itself: how many rows of which form, made from what (`binding`), and how it can be checked. A block is a whole
 * number of rows, about 1 MiB, with one CRC-32; the checksums lie beside the manifest, so that opening costs the same at any size.
 */
import { z } from 'zod';
import { StoreArgumentError, StoreMismatchError } from './errors.js';
import { rowBytesOf, rowDtypes } from './row-dtype.js';

const count = z.int().nonnegative();

const formFields = {
  /** Rows, ids 0..rows-1. */
  rows: count.max(2 ** 32 - 1),
  /** Elements per row. */
  width: z
    .int()
    .positive()
    .max(2 ** 24),
  dtype: z.enum(rowDtypes),
  /** What the rows were made from: `fgrams`, the hash of the f-gram set; `model`, the fingerprint of the model; more if wanted. */
  binding: z.object({ fgrams: z.string(), model: z.string() }).catchall(z.string()),
  /** Who or what made the rows. */
  creator: z.string().optional(),
  /** Under which terms they may be used. */
  licence: z.string().optional(),
};

const fitsNumbers = ({ rows, width, dtype }: { rows: number; width: number; dtype: (typeof rowDtypes)[number] }) =>
  rows * rowBytesOf(dtype, width) <= Number.MAX_SAFE_INTEGER;
const TOO_LARGE = 'rows x rowBytes is beyond 2^53 bytes';
/** A reader opens every data file at once. */
const MAX_SHARDS = 4096;
const fewFiles = ({ rows, shardRows = Math.max(1, rows) }: { rows: number; shardRows?: number | undefined }) =>
  Math.ceil(rows / shardRows) <= MAX_SHARDS;
const TOO_MANY = `more than ${MAX_SHARDS} data files: shardRows is too small`;

/** A block is checked as a whole: a manifest must not make a reader take more memory than this for one row. The widest row there is fits. */
const MAX_BLOCK_BYTES = 2 ** 26;
const smallBlocks = ({ rows, width, dtype, blockRows: block = 1 }: BlockFields) =>
  block === 1 || Math.min(block, rows) * rowBytesOf(dtype, width) <= MAX_BLOCK_BYTES;
interface BlockFields {
  readonly rows: number;
  readonly width: number;
  readonly dtype: (typeof rowDtypes)[number];
  readonly blockRows?: number | undefined;
}
const LARGE_BLOCK = `a block has more than ${MAX_BLOCK_BYTES} bytes: blockRows is too large`;

const blockRows = z.int().positive();
const shardRows = z.int().positive();

const requestSchema = z
  .strictObject({
    ...formFields,
    /** Rows under one checksum (default: about 1 MiB). */
    blockRows: blockRows.optional(),
    /** Rows per data file, for backends with files (default: about 16 GiB). */
    shardRows: shardRows.optional(),
  })
  .refine(fitsNumbers, TOO_LARGE)
  .refine(fewFiles, TOO_MANY)
  .refine(smallBlocks, LARGE_BLOCK);

export const descriptionSchema = z
  .strictObject({ ...formFields, blockRows, shardRows })
  .refine(fitsNumbers, TOO_LARGE)
  .refine(fewFiles, TOO_MANY)
  .refine(smallBlocks, LARGE_BLOCK);

/** What `createStore` is asked for. */
export type StoreRequest = z.input<typeof requestSchema>;
/** The same with every choice made. */
export type StoreDescription = z.infer<typeof descriptionSchema>;
export type StoreBinding = StoreDescription['binding'];

export const manifestSchema = z
  .strictObject({
    ...formFields,
    blockRows,
    shardRows,
    rowBytes: count,
    /** CRC-32 of each 16,384 checksums. */
    checksums: z.array(count.max(2 ** 32 - 1)),
    /** SHA-256 of the description and the checksums: two stores of one fingerprint hold the same rows. */
    fingerprint: z.string(),
  })
  .refine(fitsNumbers, TOO_LARGE)
  .refine(fewFiles, TOO_MANY)
  .refine(smallBlocks, LARGE_BLOCK)
  .refine(({ dtype, width, rowBytes }) => rowBytes === rowBytesOf(dtype, width), 'rowBytes does not follow from dtype and width');

export type StoreManifest = z.infer<typeof manifestSchema>;

const BLOCK_BYTES = 2 ** 20;
const SHARD_BYTES = 2 ** 34;
const rowsWithin = (bytes: number, rowBytes: number) => Math.max(1, Math.floor(bytes / rowBytes));

/** Fills in the choices that were left open. @throws {StoreArgumentError} naming the first field that is wrong */
export function describeStore(request: StoreRequest): StoreDescription {
  const parsed = requestSchema.safeParse(request);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new StoreArgumentError(`store description: ${issue.path.join('.')}: ${issue.message}`, 'Correct that field.');
  }
  const rowBytes = rowBytesOf(parsed.data.dtype, parsed.data.width);
  const {
    blockRows: block = rowsWithin(BLOCK_BYTES, rowBytes),
    shardRows: shard = Math.max(rowsWithin(SHARD_BYTES, rowBytes), Math.ceil(parsed.data.rows / MAX_SHARDS), 1),
  } = parsed.data;
  return { ...parsed.data, blockRows: block, shardRows: shard };
}

export const blocksOf = ({ rows, blockRows: block }: Pick<StoreDescription, 'rows' | 'blockRows'>): number => Math.ceil(rows / block);

/** @throws {StoreMismatchError} naming every key that differs */
export function expectBinding(url: string, binding: StoreBinding, expected: Partial<StoreBinding>): void {
  const differing = Object.keys(expected).filter((key) => expected[key] !== undefined && expected[key] !== binding[key]);
  if (differing.length === 0) return;
  const parts = differing.map((key) => `${key} ${JSON.stringify(binding[key]) ?? 'not told'}, expected ${JSON.stringify(expected[key])}`);
  const remedy = 'Precompute the store again with this model and f-gram set, or open the store that belongs to them.';
  throw new StoreMismatchError(`${url} was made from ${parts.join('; ')}`, remedy);
}

/** The first field in which two descriptions differ, as text; undefined if they are the same. */
export function differenceOf(found: StoreDescription, wanted: StoreDescription): string | undefined {
  for (const field of ['rows', 'width', 'dtype', 'blockRows', 'shardRows', 'creator', 'licence'] as const) {
    if (found[field] !== wanted[field]) return `${field} ${found[field]}, expected ${wanted[field]}`;
  }
  for (const key of Object.keys({ ...found.binding, ...wanted.binding })) {
    const [was, is] = [found.binding[key], wanted.binding[key]];
    if (was !== is) return `binding ${key} ${JSON.stringify(was)}, expected ${JSON.stringify(is)}`;
  }
  return undefined;
}
