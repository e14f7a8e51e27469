/**
 * What a medium has to do to be a backend: move the bytes of whole rows. Order, repeats, dtype, ranges, checksums and metrics
 * are seen to above it; the conformance kit (`@sconelm/offload-store/conformance`) checks the rest.
 */
import type { StoreDescription, StoreManifest } from './manifest.js';
import type { RowSet } from './row-set.js';

export interface RowReader {
  readonly manifest: StoreManifest;
  /** False where rows may come from another generation, or damaged in passing: blocks are then always checked. */
  readonly isTrusted?: boolean;
  /**
   * Reads rows. Answers at once where the medium does (a promise costs tens of microseconds), with a promise where it does not.
   * @param ids unique, ascending, in range; unchanged until answered
   * @param into [ids.length * rowBytes]; must not be touched any more once the promise has settled, also when it rejects
   * @throws {StoreError} STORE_CORRUPT, STORE_IO; the signal's reason if aborted
   */
  readRows(ids: Uint32Array, into: Uint8Array, signal: AbortSignal | undefined): void | Promise<void>;
  /**
   * Reads the CRC-32 of `into.length` blocks from block `first` on.
   * @throws {StoreError} STORE_CORRUPT, STORE_IO; the signal's reason if aborted
   */
  readChecksums(first: number, into: Uint32Array, signal: AbortSignal | undefined): void | Promise<void>;
  /** What the medium itself has counted, by names of its own: requests, retries, bytes by tier. */
  stats?(): Readonly<Record<string, number>>;
  close(): Promise<void>;
}

/** Rows `from` to `to` - 1. */
export interface RowRange {
  readonly from: number;
  readonly to: number;
}

/** An unpublished store being filled. Writers of overlapping ranges are refused with STORE_LOCKED. */
export interface RowSink {
  /** The rows that are there, kept current by the sink. After a crash: those that are there for certain. */
  readonly written: RowSet;
  /** Takes rows; the same form as readRows. Writing a row again replaces it. Calls do not overlap. */
  writeRows(ids: Uint32Array, rows: Uint8Array): void | Promise<void>;
  /** Reads rows back that were written. */
  readRows(ids: Uint32Array, into: Uint8Array): void | Promise<void>;
  /** Makes everything visible at once, in the place of an older store. Only called on a sink of all rows. @param checksums one per block */
  publish(manifest: StoreManifest, checksums: Uint32Array): Promise<void>;
  /** Ends the work. Unpublished rows stay, invisible, for the next sink with the same description. */
  close(): Promise<void>;
}

export interface SinkOptions {
  /** Throws away what is unfinished there instead of going on with it. */
  readonly restart: boolean;
  /** The rows that this sink will write; several sinks may be open on ranges that do not overlap. */
  readonly range: RowRange;
}

export interface StoreBackend {
  /** The part of the URL before the first colon. */
  readonly scheme: string;
  /**
   * @param open opens other stores, for a backend that composes them
   * @throws {StoreError} STORE_MISSING, STORE_CORRUPT, STORE_VERSION, STORE_KIND
   */
  openReader(location: string, open: (url: string) => Promise<RowReader>): Promise<RowReader>;
  /**
   * Starts a store, or goes on with the unfinished one that is there. Absent: the medium is only read.
   * @throws {StoreError} STORE_LOCKED; STORE_MISMATCH if the unfinished one has another description; STORE_DISK_FULL
   */
  openSink?(location: string, description: StoreDescription, options: SinkOptions): Promise<RowSink>;
  /** Deletes the store and what is unfinished there; nothing happens if there is none. */
  remove?(location: string): Promise<void>;
}

/** Declares a backend; `location` is the part of the URL after the first colon. */
export function defineBackend(backend: StoreBackend): StoreBackend {
  return backend;
}
