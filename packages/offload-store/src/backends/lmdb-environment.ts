/** The npm package `lmdb`, loaded when a store is opened, and what it says when something is wrong. */
import { getSystemErrorName } from 'node:util';
import type { RootDatabase } from 'lmdb';
import { z } from 'zod';
import { asStoreError, CorruptStoreError, StoreError } from '../errors.js';
import { manifestSchema } from '../manifest.js';

/** The file of the rows: the row under its id, a u32. LMDB puts ROWS_NAME-lock beside it. */
export const ROWS_NAME = 'rows.mdb';
export type RowDatabase = RootDatabase<Uint8Array, number>;

export const manifestHead = { kind: 'sconelm-store-lmdb', version: 1 };
export const lmdbManifestSchema = z.strictObject({
  store: manifestSchema,
  /** Bytes of the file, and the CRC-32 of its first HEAD_BYTES. LMDB believes what it finds there: a file cut short would end the process. */
  file: z.strictObject({ bytes: z.int().nonnegative(), head: z.int().nonnegative() }),
});
export const HEAD_BYTES = 2 ** 15;

/** @throws {StoreError} STORE_PACKAGE_MISSING */
export async function loadLmdb(load: () => Promise<typeof import('lmdb')> = () => import('lmdb')): Promise<typeof import('lmdb')> {
  try {
    return await load();
  } catch (error) {
    const reason = error instanceof Error ? error.message : error;
    throw new StoreError('STORE_PACKAGE_MISSING', `lmdb: stores need the package lmdb: ${reason}`, 'Run: npm install lmdb', error);
  }
}

/** @throws {StoreError} STORE_CORRUPT, STORE_IO, STORE_DISK_FULL */
export async function openEnvironment(path: string, { readOnly }: { readonly readOnly: boolean }): Promise<RowDatabase> {
  const { open } = await loadLmdb();
  try {
    // Without overlappingSync a commit is on the disk when it is told.
    return open<Uint8Array, number>({ path, noSubdir: true, encoding: 'binary', keyEncoding: 'uint32', overlappingSync: false, readOnly });
  } catch (error) {
    throw asLmdbError(error, path);
  }
}

/** LMDB's own codes are negative; the system's are positive. */
export function asLmdbError(error: unknown, path: string): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (!(error instanceof Error) || typeof code !== 'number') return asStoreError(error, path);
  if (code > 0) return asStoreError(Object.assign(new Error(error.message), { code: getSystemErrorName(-code), path }), path);
  if (damaged.has(code)) return new CorruptStoreError(`${path}: ${error.message}`, undefined, error);
  return new StoreError('STORE_IO', `${path}: ${error.message}`, 'Look this error of LMDB up.', error);
}

/** MDB_PAGE_NOTFOUND, MDB_CORRUPTED, MDB_VERSION_MISMATCH, MDB_INVALID. */
const damaged = new Set([-30797, -30796, -30794, -30793]);
