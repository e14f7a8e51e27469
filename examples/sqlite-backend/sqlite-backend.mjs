/**
 * `sqlite:FILE`: stores in an SQLite database. What a backend has to do is here; what SQLite has to do for it is in sqlite-database.mjs. A store that
 * is being filled is a table of rows which no reader looks for; publishing is one transaction that makes it the store.
 */
import { existsSync } from 'node:fs';
import { acquireLock } from '@sconelm/artifact';
import {
  CorruptStoreError,
  defineBackend,
  expectDescription,
  formatDescription,
  formatStoreManifest,
  parseStoreManifest,
  RowSet,
  rowBytesOf,
  StoreError,
  withStoreErrors,
} from '@sconelm/offload-store';
import { SqliteDatabase } from './sqlite-database.mjs';

export const sqliteBackend = defineBackend({
  scheme: 'sqlite',

  async openReader(file) {
    if (!existsSync(file)) throw missing(file);
    const database = new SqliteDatabase(file);
    try {
      database.holdStill();
      const store = database.published();
      if (store === undefined) throw missing(file);
      const manifest = parseStoreManifest(file, store.manifest);
      return {
        manifest,
        readRows: (ids, into) => readRows(database, store.table, manifest.rowBytes, ids, into),
        readChecksums(first, into) {
          const bytes = new Uint8Array(into.buffer, into.byteOffset, into.byteLength);
          if (store.checksums.length < first * 4 + bytes.length) throw new CorruptStoreError(`${file}: checksums are missing`);
          bytes.set(store.checksums.subarray(first * 4, first * 4 + bytes.length));
        },
        close: async () => database.close(),
      };
    } catch (error) {
      database.close();
      throw error;
    }
  },

  openSink: (file, description, { restart }) =>
    withStoreErrors(file, async () => {
      const lock = await acquireLock(`${file}.lock`);
      let database;
      try {
        database = new SqliteDatabase(file);
        if (restart) database.deleteUnfinished();
        const text = database.unfinished()?.description;
        if (text === undefined) database.begin(formatDescription(file, description));
        else expectDescription(file, text, description);
        return openSink(file, database, lock, description);
      } catch (error) {
        database?.close();
        await lock.release();
        throw error;
      }
    }),

  remove: (file) =>
    withStoreErrors(file, async () => {
      if (!existsSync(file)) return;
      const lock = await acquireLock(`${file}.lock`);
      try {
        const database = new SqliteDatabase(file);
        try {
          database.deleteUnfinished();
          database.deletePublished();
        } finally {
          database.close();
        }
      } finally {
        await lock.release();
      }
    }),
});

/**
 * @param {string} file @param {SqliteDatabase} database @param {import('@sconelm/artifact').Lock} lock
 * @param {import('@sconelm/offload-store').StoreDescription} description @returns {import('@sconelm/offload-store').RowSink}
 */
function openSink(file, database, lock, { rows, width, dtype }) {
  const rowBytes = rowBytesOf(dtype, width);
  const { table } = /** @type {{ table: string }} */ (database.unfinished());
  const written = new RowSet(rows);
  for (const id of database.idsOf(table)) written.add(id);
  return {
    written,
    writeRows(ids, bytes) {
      database.putRows(table, rowBytes, ids, bytes); // on the disk when it returns
      for (const id of ids) written.add(id);
    },
    readRows: (ids, into) => readRows(database, table, rowBytes, ids, into),
    async publish(manifest, checksums) {
      const bytes = new Uint8Array(checksums.buffer, checksums.byteOffset, checksums.byteLength);
      database.publish(formatStoreManifest(file, manifest), bytes);
    },
    async close() {
      database.close();
      await lock.release();
    },
  };
}

/** Neighbouring ids become one query. @param {SqliteDatabase} database @param {string} table @param {number} rowBytes @param {Uint32Array} ids @param {Uint8Array} into */
function readRows(database, table, rowBytes, ids, into) {
  for (let start = 0; start < ids.length; ) {
    let end = start + 1;
    while (end < ids.length && end < start + 256 && ids[end] === ids[end - 1] + 1) end += 1;
    const rows = database.rowsOf(table, ids[start], ids[end - 1]);
    for (let i = start; i < end; i += 1) {
      const bytes = rows.get(ids[i]);
      if (bytes?.length !== rowBytes) {
        const found = bytes === undefined ? 'is missing' : `has ${bytes.length} bytes, expected ${rowBytes}`;
        throw new CorruptStoreError(`${database.file}: row ${ids[i]} ${found}`);
      }
      into.set(bytes, i * rowBytes);
    }
    start = end;
  }
}

/** @param {string} file */
function missing(file) {
  return new StoreError('STORE_MISSING', `${file} holds no store`, 'Create and publish the store first.');
}
