/**
 * Stores in a folder, whatever their form: filled in a hidden sibling by writers under locks, published by renaming it. A form says which files
 * hold the rows and how they are filled.
 */
import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Lock,
  makeDirectory,
  promoteDirectory,
  publishBytes,
  readManifest,
  removeDirectory,
  settleDirectory,
  syncDirectory,
  writeManifest,
} from '@sconelm/artifact';
import type { RowRange, RowSink, SinkOptions } from '../backend.js';
import { StoreMismatchError, withStoreErrors } from '../errors.js';
import { descriptionSchema, differenceOf, type StoreDescription } from '../manifest.js';
import { expectStoreOrNothing, type FileLayout, layoutOf } from './file-layout.js';
import { acquireGate, acquireRange, expectNoWriters } from './file-writers.js';
import { CHECKSUMS_NAME, MANIFEST_NAME } from './folder-form.js';

export interface FolderForm {
  /** Of the description of an unfinished store. */
  readonly descriptionHead: { readonly kind: string; readonly version: number };
  /** The files that hold rows in `directory`: made empty when a store is begun. */
  dataFiles(directory: string, description: StoreDescription): string[];
  /** Fills them. @param lock of the range; the sink releases it */
  openSink(layout: FileLayout, description: StoreDescription, range: RowRange, lock: Lock): Promise<RowSink>;
}

/** Starts a store, or joins the writers of an unfinished one. @throws {StoreError} as StoreBackend.openSink does */
export function openFolderSink(form: FolderForm, location: string, description: StoreDescription, options: SinkOptions): Promise<RowSink> {
  const layout = layoutOf(location);
  return withStoreErrors(layout.directory, async () => {
    const gate = await acquireGate(layout);
    let sink: RowSink | undefined;
    try {
      sink = await enter(form, layout, description, options);
    } finally {
      await gate.release().catch(async (error: unknown) => {
        await sink?.close();
        throw error;
      });
    }
    return sink;
  });
}

/** Deletes a store and what is unfinished there. @throws {StoreError} STORE_LOCKED, STORE_OCCUPIED, STORE_IO */
export function removeFolder(location: string): Promise<void> {
  const layout = layoutOf(location);
  return withStoreErrors(layout.directory, async () => {
    await using _ = await acquireGate(layout);
    await expectNoWriters(layout);
    await expectStoreOrNothing(layout);
    await settleDirectory(layout.directory);
    await removeDirectory(layout.partial);
    await removeDirectory(layout.directory);
  });
}

/** Makes an unfinished store visible. @param close ends the work on its data files @param manifest with its head */
export async function publishFolder(
  { directory, partial, partialDirectory }: FileLayout,
  { manifest, checksums, close }: { manifest: Parameters<typeof writeManifest>[1]; checksums: Uint32Array; close: () => Promise<void> },
): Promise<void> {
  const bytes = new Uint8Array(checksums.buffer, checksums.byteOffset, checksums.byteLength);
  await publishBytes(join(partialDirectory, CHECKSUMS_NAME), bytes);
  await writeManifest(join(partialDirectory, MANIFEST_NAME), manifest);
  await close();
  await promoteDirectory(partialDirectory, directory);
  await removeDirectory(partial);
}

async function enter(
  form: FolderForm,
  layout: FileLayout,
  description: StoreDescription,
  { restart, range }: SinkOptions,
): Promise<RowSink> {
  const lock = await acquireRange(layout, range);
  try {
    await settleDirectory(layout.directory);
    await expectStoreOrNothing(layout);
    if (restart) {
      await expectNoWriters(layout, lock);
      await removeDirectory(layout.partial);
    }
    await begin(form, layout, description);
    return await form.openSink(layout, description, range, lock);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** Makes the unfinished store's folder, or checks that the one there is of the same description. */
async function begin({ descriptionHead, dataFiles }: FolderForm, layout: FileLayout, description: StoreDescription): Promise<void> {
  // The description is written last, and the data files leave first, when they are published: without either there is nothing to go on with.
  if (existsSync(layout.description)) {
    const found = await readManifest(layout.description, { ...descriptionHead, schema: descriptionSchema });
    if (dataFiles(layout.partialDirectory, found).every((file) => existsSync(file))) {
      const difference = differenceOf(found, description);
      if (difference === undefined) return;
      throw new StoreMismatchError(
        `an unfinished store at ${layout.directory} has ${difference}`,
        'Create it with restart: true to throw the unfinished one away.',
      );
    }
  }
  await removeDirectory(layout.partial);
  await makeDirectory(layout.partialDirectory);
  for (const file of dataFiles(layout.partialDirectory, description)) await (await open(file, 'w')).close();
  await syncDirectory(layout.partialDirectory);
  await writeManifest(layout.description, { ...descriptionHead, ...description });
}
