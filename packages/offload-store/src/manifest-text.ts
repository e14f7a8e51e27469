/** Manifests and descriptions as text, for backends that keep them in a file, a column or under a key: with kind, version and a checksum of their own. */
import { formatManifest, parseManifest } from '@sconelm/artifact/portable';
import { manifestHead } from './backends/folder-form.js';
import { asStoreError, StoreMismatchError } from './errors.js';
import { descriptionSchema, differenceOf, manifestSchema, type StoreDescription, type StoreManifest } from './manifest.js';

const descriptionHead = { kind: 'sconelm-store-unfinished', version: 2 };

/** @param where the store is, for errors */
export function formatStoreManifest(where: string, manifest: StoreManifest): string {
  return formatManifest(where, { ...manifestHead, ...manifest });
}

/** @param where the store is, for errors @throws {StoreError} STORE_CORRUPT: a changed bit, an invalid field; STORE_KIND; STORE_VERSION */
export function parseStoreManifest(where: string, text: string): StoreManifest {
  return inStoreErrors(where, () => parseManifest(where, text, { ...manifestHead, schema: manifestSchema }));
}

/** @param where the store is, for errors */
export function formatDescription(where: string, description: StoreDescription): string {
  return formatManifest(where, { ...descriptionHead, ...description });
}

/**
 * Compares the description of an unfinished store with that of a sink that wants to go on with it.
 * @param where the store is, for errors
 * @throws {StoreError} STORE_MISMATCH naming the first difference; STORE_CORRUPT, STORE_KIND, STORE_VERSION
 */
export function expectDescription(where: string, text: string, wanted: StoreDescription): void {
  const found = inStoreErrors(where, () => parseManifest(where, text, { ...descriptionHead, schema: descriptionSchema }));
  const difference = differenceOf(found, wanted);
  if (difference === undefined) return;
  throw new StoreMismatchError(
    `an unfinished store at ${where} has ${difference}`,
    'Create it with restart: true to throw the unfinished one away.',
  );
}

function inStoreErrors<T>(where: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw asStoreError(error, where);
  }
}
