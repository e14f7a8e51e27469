/** `file:DIR`: one file of rows, published by rename; a writer that was killed goes on from its journal. */
import { existsSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import {
  acquireLock,
  type Lock,
  makeDirectory,
  promoteDirectory,
  readManifest,
  removeDirectory,
  settleDirectory,
  syncDirectory,
  writeManifest,
} from '@sconelm/artifact';
import { defineBackend, type RowSink } from '../backend.js';
import { CorruptStoreError, StoreMismatchError, withStoreErrors } from '../errors.js';
import { descriptionSchema, differenceOf, type StoreDescription, type StoreManifest } from '../manifest.js';
import { rowBytesOf } from '../row-dtype.js';
import { runLength } from '../row-order.js';
import { RowSet } from '../row-set.js';
import { descriptionHead, expectStoreOrNothing, type FileLayout, layoutOf, manifestHead } from './file-layout.js';
import { openFileReader } from './file-reader.js';
import { Journal } from './journal.js';

export const fileBackend = defineBackend({
  scheme: 'file',
  openReader: openFileReader,

  openSink(location, description, { restart }) {
    const layout = layoutOf(location);
    return withStoreErrors(layout.directory, async () => {
      const lock = await acquireLock(layout.lock);
      try {
        await settleDirectory(layout.directory);
        await expectStoreOrNothing(layout);
        if (restart) await removeDirectory(layout.partial);
        await begin(layout, description);
        const written = new RowSet(description.rows);
        const file = await open(layout.partialRows, 'r+');
        const journal = await Journal.open(layout.journal, written).catch(async (error: unknown) => {
          await file.close();
          throw error;
        });
        return new FileSink({ layout, lock, journal, file, written, rowBytes: rowBytesOf(description.dtype, description.width) });
      } catch (error) {
        await lock.release();
        throw error;
      }
    });
  },

  remove(location) {
    const layout = layoutOf(location);
    return withStoreErrors(layout.directory, async () => {
      const lock = await acquireLock(layout.lock);
      try {
        await expectStoreOrNothing(layout);
        await settleDirectory(layout.directory);
        await removeDirectory(layout.partial);
        await removeDirectory(layout.directory);
      } finally {
        await lock.release();
      }
    });
  },
});

/** Makes the unfinished store's folder, or checks that the one there is of the same description. */
async function begin(layout: FileLayout, description: StoreDescription): Promise<void> {
  // The rows are made last and go first, when they are published: without them there is nothing to go on with.
  if (existsSync(layout.partialRows)) {
    const found = await readManifest(layout.description, { ...descriptionHead, schema: descriptionSchema });
    const difference = differenceOf(found, description);
    if (difference === undefined) return;
    throw new StoreMismatchError(
      `an unfinished store at ${layout.directory} has ${difference}`,
      'Create it with restart: true to throw the unfinished one away.',
    );
  }
  await removeDirectory(layout.partial);
  await makeDirectory(layout.partialDirectory);
  await writeManifest(layout.description, { ...descriptionHead, ...description });
  await (await open(layout.journal, 'w')).close();
  await syncDirectory(layout.partial);
  await (await open(layout.partialRows, 'w')).close();
  await syncDirectory(layout.partialDirectory);
}

interface SinkParts {
  readonly layout: FileLayout;
  readonly lock: Lock;
  readonly journal: Journal;
  readonly file: FileHandle;
  readonly written: RowSet;
  readonly rowBytes: number;
}

class FileSink implements RowSink {
  readonly written: RowSet;
  readonly #parts: SinkParts;
  #open = true;

  constructor(parts: SinkParts) {
    this.#parts = parts;
    this.written = parts.written;
  }

  writeRows(ids: Uint32Array, rows: Uint8Array): Promise<void> {
    const { layout, journal, file, rowBytes } = this.#parts;
    return withStoreErrors(layout.partialRows, async () => {
      const ranges: number[] = [];
      const again: number[] = [];
      for (let start = 0; start < ids.length; ) {
        const count = runLength(ids, start);
        ranges.push(ids[start], count);
        for (let i = start; i < start + count; i++) if (this.written.has(ids[i])) again.push(ids[i], 1);
        start += count;
      }
      // A row that is being replaced counts as missing until it is on the disk again.
      if (again.length > 0) await journal.replaced(again);
      let at = 0;
      for (let i = 0; i < ranges.length; i += 2) {
        const bytes = ranges[i + 1] * rowBytes;
        for (let done = 0; done < bytes; ) {
          const { bytesWritten } = await file.write(rows, at + done, bytes - done, ranges[i] * rowBytes + done);
          done += bytesWritten;
        }
        at += bytes;
      }
      await file.datasync();
      await journal.written(ranges);
      for (const id of ids) this.written.add(id);
    });
  }

  readRows(ids: Uint32Array, into: Uint8Array): Promise<void> {
    const { layout, file, rowBytes } = this.#parts;
    return withStoreErrors(layout.partialRows, async () => {
      for (let start = 0; start < ids.length; ) {
        const count = runLength(ids, start);
        const bytes = count * rowBytes;
        for (let done = 0; done < bytes; ) {
          const { bytesRead } = await file.read(into, start * rowBytes + done, bytes - done, ids[start] * rowBytes + done);
          if (bytesRead === 0) throw new CorruptStoreError(`${layout.partialRows} ends inside the rows from ${ids[start]} on`);
          done += bytesRead;
        }
        start += count;
      }
    });
  }

  publish(manifest: StoreManifest): Promise<void> {
    const { layout } = this.#parts;
    return withStoreErrors(layout.directory, async () => {
      await writeManifest(layout.partialManifest, { ...manifestHead, ...manifest });
      await this.#closeFiles();
      await promoteDirectory(layout.partialDirectory, layout.directory);
      await removeDirectory(layout.partial);
    });
  }

  async #closeFiles(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    try {
      await this.#parts.journal.close();
    } finally {
      await this.#parts.file.close();
    }
  }

  close(): Promise<void> {
    return withStoreErrors(this.#parts.layout.partial, async () => {
      try {
        await this.#closeFiles();
      } finally {
        await this.#parts.lock.release();
      }
    });
  }
}
