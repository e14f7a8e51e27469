/** Filling a file store: rows to their place in the data files, and into the journal what they are; both on the disk before anybody is told so. */
import type { Lock } from '@sconelm/artifact';
import type { RowRange, RowSink } from '../backend.js';
import { withStoreErrors } from '../errors.js';
import type { StoreDescription, StoreManifest } from '../manifest.js';
import { rowBytesOf } from '../row-dtype.js';
import { RowSet } from '../row-set.js';
import { publishFolder } from './file-folder.js';
import { type FileLayout, shardFiles } from './file-layout.js';
import { DataFiles, rangesOf } from './file-rows.js';
import { manifestHead } from './folder-form.js';
import { Journal } from './journal.js';

/** @param lock of the range; the sink releases it */
export async function openFileSink(layout: FileLayout, description: StoreDescription, range: RowRange, lock: Lock): Promise<RowSink> {
  const rowBytes = rowBytesOf(description.dtype, description.width);
  const files = await DataFiles.open(shardFiles(layout.partialDirectory, description), rowBytes, description.shardRows);
  try {
    const written = new RowSet(description.rows);
    const journal = await Journal.open(layout.partial, range, written, files);
    return new FileSink(layout, { lock, journal, files, written });
  } catch (error) {
    await files.close();
    throw error;
  }
}

interface SinkParts {
  readonly lock: Lock;
  readonly journal: Journal;
  readonly files: DataFiles;
  readonly written: RowSet;
}

class FileSink implements RowSink {
  readonly written: RowSet;
  readonly #layout: FileLayout;
  readonly #parts: SinkParts;
  #open = true;

  constructor(layout: FileLayout, parts: SinkParts) {
    this.#layout = layout;
    this.#parts = parts;
    this.written = parts.written;
  }

  writeRows(ids: Uint32Array, rows: Uint8Array): Promise<void> {
    const { journal } = this.#parts;
    return withStoreErrors(this.#layout.partialDirectory, async () => {
      const again: number[] = [];
      for (const id of ids) if (this.written.has(id)) again.push(id, 1);
      // A row that is being replaced counts as missing until it is on the disk again.
      if (again.length > 0) await journal.replaced(again);
      await journal.written(rangesOf(ids), rows);
      for (const id of ids) this.written.add(id);
    });
  }

  readRows(ids: Uint32Array, into: Uint8Array): Promise<void> {
    return withStoreErrors(this.#layout.partialDirectory, () => this.#parts.files.read(rangesOf(ids), into));
  }

  publish(manifest: StoreManifest, checksums: Uint32Array): Promise<void> {
    return withStoreErrors(this.#layout.directory, () =>
      publishFolder(this.#layout, { manifest: { ...manifestHead, ...manifest }, checksums, close: () => this.#closeFiles() }),
    );
  }

  async #closeFiles(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    const closed = await Promise.allSettled([this.#parts.journal.close(), this.#parts.files.close()]);
    const failed = closed.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  close(): Promise<void> {
    return withStoreErrors(this.#layout.partial, async () => {
      try {
        await this.#closeFiles();
      } finally {
        await this.#parts.lock.release();
      }
    });
  }
}
