/** What each peer reads best, made from the corpus once: nobody is measured on converting. */
import { createHash } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { CACHE } from './corpus.mjs';
import { loBits } from './sql.mjs';

const require = createRequire(new URL('../peers/package.json', import.meta.url));

/** @typedef {{ shards: readonly { path: string, tokens: number }[], tokens: number, vocabSize: number, boundary: number }} Corpus */

/** @param {Corpus} corpus */
export function readTokens({ shards, tokens }) {
  const all = new Uint16Array(tokens);
  let at = 0;
  for (const shard of shards) {
    const bytes = readFileSync(shard.path);
    all.set(new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length >> 1), at);
    at += bytes.length >> 1;
  }
  return all;
}

/** A file in the cache, of this corpus and none other. @param {Corpus} corpus @param {string} name @param {(aside: string) => unknown} make */
async function kept({ shards, tokens }, name, make) {
  const folder = path.join(CACHE, 'inputs');
  mkdirSync(folder, { recursive: true });
  const hash = createHash('sha256').update(`${shards.length} ${tokens}`).update(readFileSync(shards[0].path)).digest('hex').slice(0, 12);
  const file = path.join(folder, `${hash}-${name}`);
  if (existsSync(file)) return file;
  const aside = `${file}.new`;
  for (const stale of readdirSync(folder)) if (stale.includes('.new')) rmSync(path.join(folder, stale), { recursive: true, force: true });
  await make(aside);
  renameSync(aside, file);
  return file;
}

const varint = (/** @type {number} */ x) => {
  const bytes = [];
  for (; x > 127; x >>>= 7) bytes.push((x & 127) | 128);
  return Buffer.from([...bytes, x]);
};
const text = (/** @type {string} */ x) => Buffer.concat([varint(x.length), Buffer.from(x)]);

/** ClickHouse's Native format: the columns hi and, from five tokens on, lo, a row for each position. @param {Corpus} corpus @param {number} maxLength */
export const nativeKeys = (corpus, maxLength) =>
  kept(corpus, `keys${maxLength}.native`, (aside) => {
    const tokens = readTokens(corpus);
    const file = openSync(aside, 'w');
    const rows = 65_536;
    const width = Math.max(0, maxLength - 4);
    const words = loBits(maxLength) / 16;
    for (let from = 0; from < tokens.length; from += rows) {
      const n = Math.min(rows, tokens.length - from);
      const hi = new Uint16Array(4 * n);
      const lo = new Uint16Array(width === 0 ? 0 : words * n);
      for (let i = 0; i < n; i++) {
        let open = true;
        for (let j = 0; j < maxLength; j++) {
          const at = from + i + j;
          open &&= at < tokens.length && (j === 0 || tokens[at] !== corpus.boundary);
          const token = open ? tokens[at] : 0xffff;
          if (j < 4) hi[4 * i + 3 - j] = token;
          else lo[words * i + maxLength - 1 - j] = token;
        }
      }
      const block = [varint(width === 0 ? 1 : 2), varint(n), text('hi'), text('UInt64'), Buffer.from(hi.buffer)];
      if (width > 0) block.push(text('lo'), text(`UInt${loBits(maxLength)}`), Buffer.from(lo.buffer));
      writeSync(file, Buffer.concat(block));
    }
    closeSync(file);
  });

/** A DuckDB database with the same columns in the table `keys`. @param {Corpus} corpus @param {number} maxLength */
export const duckdbKeys = async (corpus, maxLength) => {
  const native = await nativeKeys(corpus, maxLength);
  return kept(corpus, `keys${maxLength}.duckdb`, async (aside) => {
    const parquet = `${aside}.parquet`;
    const columns = `hi UInt64${maxLength > 4 ? `, lo UInt${loBits(maxLength)}` : ''}`;
    const { Session } = require('chdb');
    const session = new Session(`${aside}.session`);
    session.query(
      `INSERT INTO FUNCTION file('${parquet}', 'Parquet') SELECT * FROM file('${native}', 'Native', '${columns}') SETTINGS output_format_parquet_compression_method = 'none'`,
    );
    session.close();
    const { DuckDBInstance } = require('@duckdb/node-api');
    const instance = await DuckDBInstance.create(aside);
    const connection = await instance.connect();
    await connection.run(`CREATE TABLE keys AS SELECT * FROM '${parquet}'`);
    await connection.run('CHECKPOINT');
    connection.closeSync();
    instance.closeSync();
    for (const scratch of [parquet, `${aside}.session`]) rmSync(scratch, { recursive: true, force: true });
  });
};

/** Token ids as words, a document a line. @param {Corpus} corpus */
export const wordsText = (corpus) =>
  kept(corpus, 'words.txt', (aside) => {
    const tokens = readTokens(corpus);
    const file = openSync(aside, 'w');
    const step = 1 << 18;
    for (let from = 0; from < tokens.length; from += step) {
      let line = '';
      for (let i = from; i < Math.min(from + step, tokens.length); i++) line += tokens[i] === corpus.boundary ? `\n${tokens[i]} ` : `${tokens[i]} `;
      writeSync(file, line);
    }
    writeSync(file, '\n');
    closeSync(file);
  });
