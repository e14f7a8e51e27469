/** Filling a file store: rows to their place in the data files, synced, then journalled; so a journal never speaks of a row that is not there. */
import { type FileHandle, open } from 'node:fs/promises';
import type { Lock } from '@sconelm/artifact';
import type { RowRange, RowSink } from '../backend.js';
import { CorruptStoreError, withStoreErrors } from '../errors.js';
import type { StoreDescription, StoreManifest } from '../manifest.js';
import { rowBytesOf } from '../row-dtype.js';
import { runLength } from '../row-order.js';
import { RowSet } from '../row-set.js';
import { publishFolder } from './file-folder.js';
import { type FileLayout, shardFiles } from './file-layout.js';
import { manifestHead } from './folder-form.js';
import { Journal } from './journal.js';

/** @param lock of the range; the sink releases it */
export async function openFileSink(layout: FileLayout, description: StoreDescription, range: RowRange, lock: Lock): Promise<RowSink> {
  const written = new RowSet(description.rows);
  const files: FileHandle[] = [];
  try {
    for (const file of shardFiles(layout.partialDirectory, description)) files.push(await open(file, 'r+'));
    const journal = await Journal.open(layout.partial, range, written);
    return new FileSink(layout, description, { lock, journal, files, written });
  } catch (error) {
    for (const file of files) await file.close();
    throw error;
  }
}

interface SinkParts {
  readonly lock: Lock;
  readonly journal: Journal;
  readonly files: readonly FileHandle[];
  readonly written: RowSet;
}

/** Neighbouring rows of one data file. */
interface Run {
  readonly shard: number;
  readonly first: number;
  readonly count: number;
  /** Where they stand among the given rows. */
  readonly start: number;
}

class FileSink implements RowSink {
  readonly written: RowSet;
  readonly #layout: FileLayout;
  readonly #description: StoreDescription;
  readonly #rowBytes: number;
  readonly #parts: SinkParts;
  #open = true;

  constructor(layout: FileLayout, description: StoreDescription, parts: SinkParts) {
    this.#layout = layout;
    this.#description = description;
    this.#rowBytes = rowBytesOf(description.dtype, description.width);
    this.#parts = parts;
    this.written = parts.written;
  }

  #runsOf(ids: Uint32Array): Run[] {
    const { shardRows } = this.#description;
    const runs: Run[] = [];
    for (let start = 0; start < ids.length; ) {
      const first = ids[start];
      const shard = Math.floor(first / shardRows);
      const count = Math.min(runLength(ids, start), (shard + 1) * shardRows - first);
      runs.push({ shard, first, count, start });
      start += count;
    }
    return runs;
  }

  writeRows(ids: Uint32Array, rows: Uint8Array): Promise<void> {
    const { journal, files } = this.#parts;
    return withStoreErrors(this.#layout.partialDirectory, async () => {
      const runs = this.#runsOf(ids);
      const again: number[] = [];
      for (const id of ids) if (this.written.has(id)) again.push(id, 1);
      // A row that is being replaced counts as missing until it is on the disk again.
      if (again.length > 0) await journal.replaced(again);
      for (const run of runs) {
        await this.#eachPart(run, async (at, bytes, position) => {
          const { bytesWritten } = await files[run.shard].write(rows, at, bytes, position);
          return bytesWritten;
        });
      }
      for (const shard of new Set(runs.map((run) => run.shard))) await files[shard].datasync();
      await journal.written(runs.flatMap(({ first, count }) => [first, count]));
      for (const id of ids) this.written.add(id);
    });
  }

  readRows(ids: Uint32Array, into: Uint8Array): Promise<void> {
    const { partialDirectory } = this.#layout;
    return withStoreErrors(partialDirectory, async () => {
      for (const run of this.#runsOf(ids)) {
        await this.#eachPart(run, async (at, bytes, position) => {
          const { bytesRead } = await this.#parts.files[run.shard].read(into, at, bytes, position);
          if (bytesRead === 0) throw new CorruptStoreError(`${partialDirectory} ends inside the rows from ${run.first} on`);
          return bytesRead;
        });
      }
    });
  }

  /** Moves the bytes of a run, however few a call moves. */
  async #eachPart(run: Run, move: (at: number, bytes: number, position: number) => Promise<number>): Promise<void> {
    const bytes = run.count * this.#rowBytes;
    const position = (run.first - run.shard * this.#description.shardRows) * this.#rowBytes;
    for (let done = 0; done < bytes; ) done += await move(run.start * this.#rowBytes + done, bytes - done, position + done);
  }

  publish(manifest: StoreManifest, checksums: Uint32Array): Promise<void> {
    return withStoreErrors(this.#layout.directory, () =>
      publishFolder(this.#layout, { manifest: { ...manifestHead, ...manifest }, checksums, close: () => this.#closeFiles() }),
    );
  }

  async #closeFiles(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    const closed = await Promise.allSettled([this.#parts.journal, ...this.#parts.files].map((file) => file.close()));
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
