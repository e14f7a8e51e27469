/** DuckDB in this process: the keys from a table, level by level, the ranked answer as Parquet. */
import os from 'node:os';
import { DuckDBInstance, version } from '@duckdb/node-api';
import { finish, question } from '../miner/measured.mjs';
import { DUCKDB, miningSql } from '../miner/sql.mjs';

const { database, parquet, maxLength, minCount, memoryMB } = question();
const instance = await DuckDBInstance.create(':memory:', {
  threads: String(os.availableParallelism()),
  preserve_insertion_order: 'false',
  memory_limit: `${memoryMB}MB`,
});
const connection = await instance.connect();
await connection.run(`ATTACH '${database}' AS input (READ_ONLY)`);
const { statements, ranked } = miningSql(DUCKDB, { maxLength, minCount, source: 'input.keys' });
for (const statement of statements) await connection.run(statement);
// Only now does order matter: without this, threads write the ranked rows as they come.
await connection.run('SET preserve_insertion_order = true');
await connection.run(`COPY (${ranked}) TO '${parquet}' (FORMAT parquet, COMPRESSION uncompressed)`);
finish({ version: `DuckDB ${version()}` });
