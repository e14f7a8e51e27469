/** Filling an LMDB store: a transaction per call, on the disk when it is told; so the rows that are there are the journal. */
import { join } from 'node:path';
import type { Lock } from '@sconelm/artifact';
import type { RowRange, RowSink } from '../backend.js';
import { CorruptStoreError, withStoreErrors } from '../errors.js';
import type { StoreDescription, StoreManifest } from '../manifest.js';
import { rowBytesOf } from '../row-dtype.js';
import { RowSet } from '../row-set.js';
import { publishFolder } from './file-folder.js';
import { closeAll, openAll } from './file-generation.js';
import type { FileLayout } from './file-layout.js';
import { asLmdbError, manifestHead, openEnvironment, ROWS_NAME, type RowDatabase } from './lmdb-environment.js';
import { headOf } from './lmdb-reader.js';

/** @param lock of the range; the sink releases it */
export async function openLmdbSink(layout: FileLayout, description: StoreDescription, _: RowRange, lock: Lock): Promise<RowSink> {
  const path = join(layout.partialDirectory, ROWS_NAME);
  const database = await openEnvironment(path, { readOnly: false });
  try {
    const written = new RowSet(description.rows);
    for (const id of database.getKeys()) written.add(id);
    return new LmdbSink(layout, rowBytesOf(description.dtype, description.width), database, lock, written);
  } catch (error) {
    await database.close();
    throw asLmdbError(error, path);
  }
}

class LmdbSink implements RowSink {
  readonly written: RowSet;
  readonly #layout: FileLayout;
  readonly #path: string;
  readonly #rowBytes: number;
  readonly #database: RowDatabase;
  readonly #lock: Lock;
  #open = true;

  constructor(layout: FileLayout, rowBytes: number, database: RowDatabase, lock: Lock, written: RowSet) {
    this.#layout = layout;
    this.#path = join(layout.partialDirectory, ROWS_NAME);
    this.#rowBytes = rowBytes;
    this.#database = database;
    this.#lock = lock;
    this.written = written;
  }

  async writeRows(ids: Uint32Array, rows: Uint8Array): Promise<void> {
    const rowBytes = this.#rowBytes;
    try {
      // One transaction, but not `transaction()`: that calls back while it holds LMDB's lock, for which another sink of this process may be waiting.
      await this.#database.batch(() => {
        ids.forEach((id, i) => {
          this.#database.put(id, rows.subarray(i * rowBytes, (i + 1) * rowBytes));
        });
      });
    } catch (error) {
      throw asLmdbError(error, this.#path);
    }
    for (const id of ids) this.written.add(id);
  }

  readRows(ids: Uint32Array, into: Uint8Array): void {
    const rowBytes = this.#rowBytes;
    ids.forEach((id, i) => {
      const row = this.#database.getBinary(id);
      if (row?.length !== rowBytes) throw new CorruptStoreError(`${this.#path}: row ${id} is missing or cut short`);
      into.set(row, i * rowBytes);
    });
  }

  publish(manifest: StoreManifest, checksums: Uint32Array): Promise<void> {
    return withStoreErrors(this.#layout.directory, async () => {
      const [file] = await openAll([{ path: this.#path }]);
      try {
        const { size } = await file.handle.stat();
        const own = { ...manifestHead, store: manifest, file: { bytes: size, head: await headOf(file) } };
        await publishFolder(this.#layout, { manifest: own, checksums, close: () => this.#closeDatabase() });
      } finally {
        await closeAll([file]);
      }
    });
  }

  async #closeDatabase(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#database.close();
  }

  close(): Promise<void> {
    return withStoreErrors(this.#layout.partial, async () => {
      try {
        await this.#closeDatabase();
      } finally {
        await this.#lock.release();
      }
    });
  }
}
