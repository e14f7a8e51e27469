/**
 * What can go wrong with a store, as typed errors: a stable `code` for programs, a `message` that says what and where,
 * and a `remedy` in one imperative sentence for people.
 */
import { ArtifactError, asArtifactError } from '@sconelm/artifact/portable';

export type StoreErrorCode =
  | 'STORE_MISSING'
  | 'STORE_CORRUPT'
  | 'STORE_VERSION'
  | 'STORE_KIND'
  | 'STORE_MISMATCH'
  | 'STORE_OCCUPIED'
  | 'STORE_LOCKED'
  | 'STORE_INCOMPLETE'
  | 'STORE_DISK_FULL'
  | 'STORE_IO'
  | 'STORE_SCHEME'
  | 'STORE_BACKEND'
  | 'STORE_ARGUMENT'
  | 'STORE_READ_ONLY'
  | 'STORE_PACKAGE_MISSING'
  | 'STORE_CLOSED';

/** The base of every error of this package. */
export class StoreError extends Error {
  readonly code: StoreErrorCode;
  readonly remedy: string;
  constructor(code: StoreErrorCode, message: string, remedy: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
    this.remedy = remedy;
  }
}

/** A row id out of range, a buffer of the wrong length, a value the dtype cannot hold, an invalid description. */
export class StoreArgumentError extends StoreError {
  constructor(message: string, remedy: string) {
    super('STORE_ARGUMENT', message, remedy);
  }
}

/** The store was made for another f-gram set or model, or an unfinished one has another description. */
export class StoreMismatchError extends StoreError {
  constructor(message: string, remedy: string) {
    super('STORE_MISMATCH', message, remedy);
  }
}

/** Rows that are not what was written. */
export class CorruptStoreError extends StoreError {
  /** Which rows it is about, where that is known: the others of a read need not be looked for one by one. */
  readonly rows: readonly { readonly from: number; readonly to: number }[] | undefined;
  constructor(message: string, remedy = 'Copy or precompute the store again.', cause?: unknown, rows?: CorruptStoreError['rows']) {
    super('STORE_CORRUPT', message, remedy, cause);
    this.rows = rows;
  }
}

const fromArtifact = {
  ARTIFACT_MISSING: 'STORE_MISSING',
  ARTIFACT_CORRUPT: 'STORE_CORRUPT',
  ARTIFACT_VERSION: 'STORE_VERSION',
  ARTIFACT_KIND: 'STORE_KIND',
  ARTIFACT_LOCKED: 'STORE_LOCKED',
  ARTIFACT_DISK_FULL: 'STORE_DISK_FULL',
  ARTIFACT_IO: 'STORE_IO',
} as const;

const FEWER_FILES = 'Raise the limit of open files (ulimit -n), or copy the store to one of fewer data files (more shardRows).';

/** Errors of the file system and of artifacts come out as StoreErrors that name `where`; all others as they came. */
export function asStoreError(error: unknown, where: string): unknown {
  const known = asArtifactError(error, where);
  if (!(known instanceof ArtifactError)) return known;
  const { cause } = known;
  const remedy = cause instanceof Error && 'code' in cause && cause.code === 'EMFILE' ? FEWER_FILES : known.remedy;
  return new StoreError(fromArtifact[known.code], known.message, remedy, known);
}

/** Runs `work`; errors of the file system and of artifacts come out as StoreErrors that name `where`. */
export async function withStoreErrors<T>(where: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asStoreError(error, where);
  }
}
