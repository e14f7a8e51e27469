/** ClickHouse in this process: the keys from a Native file, level by level, the ranked answer as RowBinary. */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Session } from 'chdb';
import { finish, question } from '../miner/measured.mjs';
import { CLICKHOUSE, loBits, miningSql } from '../miner/sql.mjs';

const { keys, answer, maxLength, minCount } = question();
const folder = mkdtempSync(path.join(os.tmpdir(), 'bench-clickhouse-'));
const session = new Session(folder);
const columns = `hi UInt64${maxLength > 4 ? `, lo UInt${loBits(maxLength)}` : ''}`;
const { statements, ranked } = miningSql(CLICKHOUSE, { maxLength, minCount, source: `file('${keys}', 'Native', '${columns}')` });
session.query(`SET max_threads = ${os.availableParallelism()}`);

for (const statement of statements) session.query(statement);
const outputs = Array.from({ length: maxLength }, (_, i) => `t${i} UInt16`).join(', ');
session.query(`INSERT INTO FUNCTION file('${answer}', 'RowBinary', 'c UInt32, ${outputs}') ${ranked}`);
const version = session.query('SELECT version()', 'TSV').trim();
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
finish({ version: `ClickHouse ${version} (chdb)` });
