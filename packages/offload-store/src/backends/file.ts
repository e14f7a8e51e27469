/** `file:DIR`: rows in a few flat files, published by rename; writers that were killed go on from their journals. */
import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { makeDirectory, readManifest, removeDirectory, settleDirectory, syncDirectory, writeManifest } from '@sconelm/artifact';
import { defineBackend, type RowSink, type SinkOptions } from '../backend.js';
import { StoreMismatchError, withStoreErrors } from '../errors.js';
import { descriptionSchema, differenceOf, type StoreDescription } from '../manifest.js';
import { descriptionHead, expectStoreOrNothing, type FileLayout, layoutOf, shardFiles } from './file-layout.js';
import { openFileReader } from './file-reader.js';
import { openFileSink } from './file-sink.js';
import { acquireGate, acquireRange, expectNoWriters } from './file-writers.js';

export const fileBackend = defineBackend({
  scheme: 'file',
  openReader: openFileReader,

  openSink(location, description, options) {
    const layout = layoutOf(location);
    return withStoreErrors(layout.directory, async () => {
      const gate = await acquireGate(layout);
      let sink: RowSink | undefined;
      try {
        sink = await enter(layout, description, options);
      } finally {
        await gate.release().catch(async (error: unknown) => {
          await sink?.close();
          throw error;
        });
      }
      return sink;
    });
  },

  remove(location) {
    const layout = layoutOf(location);
    return withStoreErrors(layout.directory, async () => {
      await using _ = await acquireGate(layout);
      await expectNoWriters(layout);
      await expectStoreOrNothing(layout);
      await settleDirectory(layout.directory);
      await removeDirectory(layout.partial);
      await removeDirectory(layout.directory);
    });
  },
});

/** Joins the writers of an unfinished store, or is its first. */
async function enter(layout: FileLayout, description: StoreDescription, { restart, range }: SinkOptions): Promise<RowSink> {
  const lock = await acquireRange(layout, range);
  try {
    await settleDirectory(layout.directory);
    await expectStoreOrNothing(layout);
    if (restart) {
      await expectNoWriters(layout, lock);
      await removeDirectory(layout.partial);
    }
    await begin(layout, description);
    return await openFileSink(layout, description, range, lock);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** Makes the unfinished store's folder, or checks that the one there is of the same description. */
async function begin(layout: FileLayout, description: StoreDescription): Promise<void> {
  // The description is written last, and the data files leave first, when they are published: without either there is nothing to go on with.
  if (existsSync(layout.description)) {
    const found = await readManifest(layout.description, { ...descriptionHead, schema: descriptionSchema });
    if (shardFiles(layout.partialDirectory, found).every((file) => existsSync(file))) {
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
  for (const file of shardFiles(layout.partialDirectory, description)) await (await open(file, 'w')).close();
  await syncDirectory(layout.partialDirectory);
  await writeManifest(layout.description, { ...descriptionHead, ...description });
}
