/**
 * What SQLite does for the backend. One table lists the stores: at most one that is published and one that is being filled; the rows of each are in a
 * table of their own. Only `all` and `run` of the client are used.
 */
import { CorruptStoreError, StoreError } from '@sconelm/offload-store';
import Database from 'libsql';

/** Milliseconds to wait for another process that is writing. */
const PATIENCE_MS = 10_000;

export class SqliteDatabase {
  #database;

  /** @param {string} file made where there is none */
  constructor(file) {
    this.file = file;
    this.#database = this.#inStoreErrors(() => new Database(file, { timeout: PATIENCE_MS }));
    this.#inStoreErrors(() => {
      this.#database.pragma('journal_mode = WAL'); // readers go on while others write
      this.#database.pragma('synchronous = FULL'); // a transaction that has returned is on the disk
      this.#database.exec(
        `CREATE TABLE IF NOT EXISTS stores (state TEXT PRIMARY KEY, number INTEGER, description TEXT, manifest TEXT, checksums BLOB)`,
      );
    });
  }

  /** From now on this connection sees the database as it is now, whoever publishes meanwhile. */
  holdStill() {
    this.#inStoreErrors(() => this.#database.exec('BEGIN'));
  }

  /** @returns {{ table: string, manifest: string, checksums: Uint8Array } | undefined} */
  published() {
    const [row] = this.#all(`SELECT number, manifest, checksums FROM stores WHERE state = 'published'`);
    return row && { table: `rows_${row[0]}`, manifest: row[1], checksums: row[2] };
  }

  /** @returns {{ table: string, description: string } | undefined} */
  unfinished() {
    const [row] = this.#all(`SELECT number, description FROM stores WHERE state = 'unfinished'`);
    return row && { table: `rows_${row[0]}`, description: row[1] };
  }

  /** @param {string} description */
  begin(description) {
    this.#inTransaction(() => {
      const [[number]] = this.#all(`SELECT 1 + coalesce(max(number), 0) FROM stores`);
      this.#database.exec(`CREATE TABLE rows_${number} (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL)`);
      this.#run(`INSERT INTO stores (state, number, description) VALUES ('unfinished', ?, ?)`, number, description);
    });
  }

  /** @param {string} manifest @param {Uint8Array} checksums */
  publish(manifest, checksums) {
    this.#inTransaction(() => {
      this.#drop('published');
      this.#run(`UPDATE stores SET state = 'published', manifest = ?, checksums = ? WHERE state = 'unfinished'`, manifest, checksums);
    });
  }

  deleteUnfinished() {
    this.#inTransaction(() => this.#drop('unfinished'));
  }

  deletePublished() {
    this.#inTransaction(() => this.#drop('published'));
  }

  /** @param {'published' | 'unfinished'} state */
  #drop(state) {
    for (const [number] of this.#all(`SELECT number FROM stores WHERE state = ?`, state)) this.#database.exec(`DROP TABLE rows_${number}`);
    this.#run(`DELETE FROM stores WHERE state = ?`, state);
  }

  /** @param {string} table @returns {number[]} */
  idsOf(table) {
    return this.#all(`SELECT id FROM ${table}`).map(([id]) => id);
  }

  /** @param {string} table @param {number} first @param {number} last @returns {Map<number, Uint8Array>} */
  rowsOf(table, first, last) {
    const rows = this.#all(`SELECT id, bytes FROM ${table} WHERE id BETWEEN ? AND ?`, first, last);
    return new Map(rows.map(([id, bytes]) => [id, bytes]));
  }

  /** @param {string} table @param {number} rowBytes @param {Uint32Array} ids @param {Uint8Array} rows */
  putRows(table, rowBytes, ids, rows) {
    this.#inTransaction(() => {
      ids.forEach((id, i) => {
        this.#run(`INSERT OR REPLACE INTO ${table} VALUES (?, ?)`, id, rows.subarray(i * rowBytes, (i + 1) * rowBytes));
      });
    });
  }

  close() {
    this.#inStoreErrors(() => this.#database.close());
  }

  /** @type {Map<string, any>} */
  #statements = new Map();

  /** @param {string} sql */
  #prepare(sql) {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      if (sql.startsWith('SELECT')) statement.raw();
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  /** @param {string} sql @param {unknown[]} values @returns {any[][]} */
  #all(sql, ...values) {
    return this.#inStoreErrors(() => this.#prepare(sql).all(...values));
  }

  /** @param {string} sql @param {unknown[]} values */
  #run(sql, ...values) {
    return this.#inStoreErrors(() => this.#prepare(sql).run(...values));
  }

  /** @param {() => void} work */
  #inTransaction(work) {
    this.#inStoreErrors(() => {
      this.#database.exec('BEGIN IMMEDIATE');
      try {
        work();
        this.#database.exec('COMMIT');
      } catch (error) {
        if (this.#database.inTransaction) this.#database.exec('ROLLBACK');
        throw error;
      }
    });
  }

  /** Errors of SQLite come out with a code of the stores and a remedy. @template T @param {() => T} work @returns {T} */
  #inStoreErrors(work) {
    try {
      return work();
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : '';
      if (!(error instanceof Error) || error instanceof StoreError) throw error;
      if (/^SQLITE_(CORRUPT|NOTADB)/.test(code)) throw new CorruptStoreError(`${this.file}: ${error.message}`, undefined, error);
      if (/^SQLITE_FULL/.test(code)) throw new StoreError('STORE_DISK_FULL', `${this.file}: ${error.message}`, 'Free some space.', error);
      throw new StoreError('STORE_IO', `${this.file}: ${error.message}`, 'Check the file and who else uses it.', error);
    }
  }
}
