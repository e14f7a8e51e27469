/** The two doors: a writer that publishes a store once, and a reader of published stores; the URL's scheme picks the backend. */
import type { RowRange } from './backend.js';
import type { ComputeRows } from './compute.js';
import { StoreArgumentError, StoreError } from './errors.js';
import { FillingReader } from './filling.js';
import { describeStore, expectBinding, type StoreBinding, type StoreRequest } from './manifest.js';
import { type ReaderOptions, RowStore } from './reader.js';
import { openReader, resolveUrl } from './registry.js';
import { RowWriter } from './writer.js';

export interface CreateOptions {
  /** Throw away what an unfinished writer left there, instead of going on with it. */
  readonly restart?: boolean;
  /**
   * The rows that this writer will write. Several writers, also of other processes, may be at work on ranges that do not overlap; when they
   * have closed, a writer without a range publishes.
   */
  readonly range?: RowRange;
}

/**
 * Starts to fill a store, or goes on with an unfinished one of the same URL and description. A published store stays
 * readable, as it is, until the new one is published in its place.
 * @throws {StoreError} STORE_SCHEME; STORE_ARGUMENT; STORE_READ_ONLY; STORE_LOCKED: another writer is at work; STORE_MISMATCH: the unfinished
 *   one has another description; STORE_OCCUPIED: something else is there; STORE_DISK_FULL: the rows would not fit
 */
export async function createStore(url: string, request: StoreRequest, { restart = false, range }: CreateOptions = {}): Promise<RowWriter> {
  const { backend, location } = resolveUrl(url);
  const description = describeStore(request);
  const { from, to } = range ?? { from: 0, to: description.rows };
  if (range !== undefined && !(Number.isInteger(from) && Number.isInteger(to) && from >= 0 && from < to && to <= description.rows)) {
    throw new StoreArgumentError(`range ${from} to ${to} is not within rows 0 to ${description.rows}`, 'Give a range of rows that exist.');
  }
  if (backend.openSink === undefined) throw readOnly(url);
  const sink = await backend.openSink(location, description, { restart, range: { from, to } });
  return new RowWriter(url, description, sink, range);
}

export interface OpenOptions extends ReaderOptions {
  /** What the store must have been made from. Keys that are left out are not compared. */
  readonly expect?: Partial<StoreBinding>;
}

/**
 * Opens a published store.
 * @throws {StoreError} STORE_SCHEME; STORE_MISSING; STORE_CORRUPT: damaged manifest, truncated rows; STORE_VERSION; STORE_KIND;
 *   STORE_MISMATCH: made from something else than `expect`
 */
export async function openStore(url: string, { expect = {}, ...options }: OpenOptions = {}): Promise<RowStore> {
  const reader = await openReader(url);
  try {
    expectBinding(url, reader.manifest.binding, expect);
  } catch (error) {
    await reader.close();
    throw error;
  }
  return new RowStore(url, reader, options);
}

/**
 * Opens a store that fills itself: rows are computed when they are first wanted and written through, so that the next time they are read. The
 * unfinished store is that of `createStore`, which can publish it when every row is there.
 * @throws {StoreError} as `createStore` does
 */
export async function openFillingStore(
  url: string,
  request: StoreRequest,
  compute: ComputeRows,
  options: ReaderOptions = {},
): Promise<RowStore> {
  const { backend, location } = resolveUrl(url);
  const description = describeStore(request);
  if (backend.openSink === undefined) throw readOnly(url);
  const sink = await backend.openSink(location, description, { restart: false, range: { from: 0, to: description.rows } });
  return new RowStore(url, new FillingReader(description, sink, compute), { ...options, check: 'never' });
}

/** Deletes a store and what is unfinished there. @throws {StoreError} STORE_READ_ONLY, STORE_LOCKED, STORE_OCCUPIED, STORE_IO */
export async function deleteStore(url: string): Promise<void> {
  const { backend, location } = resolveUrl(url);
  if (backend.remove === undefined) throw readOnly(url);
  await backend.remove(location);
}

function readOnly(url: string): StoreError {
  return new StoreError(
    'STORE_READ_ONLY',
    `${url} can only be read`,
    'Write the store to another backend, then copy it to where it is served.',
  );
}
