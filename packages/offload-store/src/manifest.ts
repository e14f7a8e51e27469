/**
 * What a store says about itself: how many rows of which form, made from what (`binding`), and one CRC-32 per block of rows.
 * A block is a whole number of rows, about 1 MiB, so that any backend can be verified by reading rows.
 */
import { z } from 'zod';
import { StoreArgumentError, StoreMismatchError } from './errors.js';
import { rowBytesOf, rowDtypes } from './row-dtype.js';

const count = z.int().nonnegative();

const descriptionFields = {
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
};

export const descriptionSchema = z
  .strictObject(descriptionFields)
  .refine(({ rows, width, dtype }) => rows * rowBytesOf(dtype, width) <= Number.MAX_SAFE_INTEGER, 'rows x rowBytes is beyond 2^53 bytes');

/** Rows of which form, made from what. */
export type StoreDescription = z.infer<typeof descriptionSchema>;
export type StoreBinding = StoreDescription['binding'];

export const manifestSchema = z
  .strictObject({ ...descriptionFields, rowBytes: count, blockRows: z.int().positive(), blocks: z.array(count.max(2 ** 32 - 1)) })
  .refine(({ rows, rowBytes }) => rows * rowBytes <= Number.MAX_SAFE_INTEGER, 'rows x rowBytes is beyond 2^53 bytes')
  .refine(({ dtype, width, rowBytes }) => rowBytes === rowBytesOf(dtype, width), 'rowBytes does not follow from dtype and width')
  .refine(({ rows, blockRows, blocks }) => blocks.length === Math.ceil(rows / blockRows), 'not one checksum per block');

/** The description, and the checksums: `blocks[i]` is the CRC-32 of rows i * blockRows to (i + 1) * blockRows - 1. */
export type StoreManifest = z.infer<typeof manifestSchema>;

/** @throws {StoreArgumentError} naming the first field that is wrong */
export function expectDescription(description: StoreDescription): StoreDescription {
  const parsed = descriptionSchema.safeParse(description);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new StoreArgumentError(`store description: ${issue.path.join('.')}: ${issue.message}`, 'Correct that field.');
}

/** Rows per block: about 1 MiB, at least one row. */
export function blockRowsOf({ dtype, width }: StoreDescription): number {
  return Math.max(1, Math.floor(2 ** 20 / rowBytesOf(dtype, width)));
}

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
  for (const field of ['rows', 'width', 'dtype'] as const) {
    if (found[field] !== wanted[field]) return `${field} ${found[field]}, expected ${wanted[field]}`;
  }
  for (const key of Object.keys({ ...found.binding, ...wanted.binding })) {
    const [was, is] = [found.binding[key], wanted.binding[key]];
    if (was !== is) return `binding ${key} ${JSON.stringify(was)}, expected ${JSON.stringify(is)}`;
  }
  return undefined;
}
