/** The two doors: a writer that publishes a store once, and a reader of published stores; the URL's scheme picks the backend. */
import { expectBinding, expectDescription, type StoreBinding, type StoreDescription } from './manifest.js';
import { RowStore } from './reader.js';
import { resolveUrl } from './registry.js';
import { RowWriter } from './writer.js';

export interface CreateOptions {
  /** Throw away what an unfinished writer left there, instead of going on with it. */
  readonly restart?: boolean;
}

/**
 * Starts to fill a store, or goes on with an unfinished one of the same URL and description. A published store stays
 * readable, as it is, until the new one is published in its place.
 * @throws {StoreError} STORE_SCHEME; STORE_ARGUMENT; STORE_LOCKED: another writer is at work; STORE_MISMATCH: the unfinished one has
 *   another description; STORE_OCCUPIED: something else is there; STORE_DISK_FULL: the rows would not fit
 */
export async function createStore(url: string, description: StoreDescription, { restart = false }: CreateOptions = {}): Promise<RowWriter> {
  const { backend, location } = resolveUrl(url);
  const checked = expectDescription(description);
  return new RowWriter(url, checked, await backend.openSink(location, checked, { restart }));
}

export interface OpenOptions {
  /** What the store must have been made from. Keys that are left out are not compared. */
  readonly expect?: Partial<StoreBinding>;
}

/**
 * Opens a published store.
 * @throws {StoreError} STORE_SCHEME; STORE_MISSING; STORE_CORRUPT: damaged manifest, truncated rows; STORE_VERSION; STORE_KIND;
 *   STORE_MISMATCH: made from something else than `expect`
 */
export async function openStore(url: string, { expect = {} }: OpenOptions = {}): Promise<RowStore> {
  const { backend, location } = resolveUrl(url);
  const reader = await backend.openReader(location);
  try {
    expectBinding(url, reader.manifest.binding, expect);
  } catch (error) {
    await reader.close();
    throw error;
  }
  return new RowStore(url, reader);
}

/** Deletes a store and what is unfinished there. @throws {StoreError} STORE_LOCKED, STORE_OCCUPIED, STORE_IO */
export async function deleteStore(url: string): Promise<void> {
  const { backend, location } = resolveUrl(url);
  await backend.remove(location);
}
