/** Reading an LMDB store: rows are copied out of the memory map at once, without a promise. */
import { fstatSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from '@sconelm/artifact';
import type { RowReader } from '../backend.js';
import { CorruptStoreError, withStoreErrors } from '../errors.js';
import type { StoreManifest } from '../manifest.js';
import { checksumsFile, closeAll, type DataFile, openAll, openGeneration, readChecksums, readSome } from './file-generation.js';
import { layoutOf } from './file-layout.js';
import {
  asLmdbError,
  HEAD_BYTES,
  lmdbManifestSchema,
  manifestHead,
  openEnvironment,
  ROWS_NAME,
  type RowDatabase,
} from './lmdb-environment.js';

interface Files {
  readonly checksums: DataFile;
  readonly rows: DataFile;
  readonly database: RowDatabase;
}

export function openLmdbReader(location: string): Promise<RowReader> {
  const layout = layoutOf(location);
  return withStoreErrors(layout.directory, async () => {
    const form = { ...manifestHead, schema: lmdbManifestSchema };
    const { manifest, files } = await openGeneration(
      layout,
      form,
      async ({ store, file }): Promise<Files> => {
        const path = join(layout.directory, ROWS_NAME);
        const [checksums, rows] = await openAll([checksumsFile(layout, store), { path, bytes: file.bytes }]);
        try {
          if ((await headOf(rows)) !== file.head) throw new CorruptStoreError(`${path} does not begin as it was written`);
          return { checksums, rows, database: await openEnvironment(path, { readOnly: true }) };
        } catch (error) {
          await closeAll([checksums, rows]);
          throw error;
        }
      },
      closeFiles,
    );
    return new LmdbReader(manifest.store, files);
  });
}

async function closeFiles({ checksums, rows, database }: Files): Promise<void> {
  try {
    await database.close();
  } finally {
    await closeAll([checksums, rows]);
  }
}

/** CRC-32 of the first HEAD_BYTES of the file, or of all of it. */
export async function headOf(file: DataFile): Promise<number> {
  const bytes = new Uint8Array(HEAD_BYTES);
  let size = 0;
  for (let read = -1; read !== 0 && size < bytes.length; size += read) read = await readSome(file, bytes, size, bytes.length - size, size);
  return crc32(bytes.subarray(0, size));
}

class LmdbReader implements RowReader {
  readonly manifest: StoreManifest;
  readonly #files: Files;
  readonly #opened: { readonly size: number; readonly mtimeMs: number };

  constructor(manifest: StoreManifest, files: Files) {
    this.manifest = manifest;
    this.#files = files;
    this.#opened = fstatSync(files.rows.handle.fd);
  }

  readRows(ids: Uint32Array, into: Uint8Array): void {
    const { rowBytes } = this.manifest;
    const { rows, database } = this.#files;
    // A map that reaches beyond its file ends the process when it is touched, and one that was written over gives anything.
    const { size, mtimeMs } = fstatSync(rows.handle.fd);
    if (size !== this.#opened.size || mtimeMs !== this.#opened.mtimeMs) {
      throw new CorruptStoreError(`${rows.path} was changed while it was open`, 'Open the store again.');
    }
    for (let i = 0; i < ids.length; i += 1) {
      const row = this.#rowOf(database, ids[i]);
      if (row?.length !== rowBytes) {
        const found = row === undefined ? 'is missing' : `has ${row.length} bytes, expected ${rowBytes}`;
        throw new CorruptStoreError(`${rows.path}: row ${ids[i]} ${found}`);
      }
      into.set(row.subarray(0, rowBytes), i * rowBytes); // `row` is a larger buffer in truth, used again for the next row
    }
  }

  #rowOf(database: RowDatabase, id: number): Uint8Array | undefined {
    try {
      return database.getBinaryFast(id);
    } catch (error) {
      throw asLmdbError(error, this.#files.rows.path);
    }
  }

  readChecksums(first: number, into: Uint32Array): Promise<void> {
    return readChecksums(this.#files.checksums, first, into);
  }

  close(): Promise<void> {
    return withStoreErrors(this.#files.rows.path, () => closeFiles(this.#files));
  }
}
