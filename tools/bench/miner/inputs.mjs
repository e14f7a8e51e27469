/** What each peer reads best, made from the corpus once: nobody is measured on converting. */
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { mine, openFgrams } from '@sconelm/ngram-miner';
import { writeAnswer } from './answer.mjs';
import { CACHE, readTokens } from './corpus.mjs';
import { gpt2TokenizerJson } from './gpt2.mjs';
import { tokenCorpus } from './mine.mjs';
import { loBits } from './sql.mjs';

const peers = createRequire(new URL('../peers/package.json', import.meta.url));

/** @typedef {import('./corpus.mjs').Corpus} Corpus */

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
    const { Session } = peers('chdb');
    const session = new Session(`${aside}.session`);
    session.query(
      `INSERT INTO FUNCTION file('${parquet}', 'Parquet') SELECT * FROM file('${native}', 'Native', '${columns}') SETTINGS output_format_parquet_compression_method = 'none'`,
    );
    session.close();
    const { DuckDBInstance } = peers('@duckdb/node-api');
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
      for (let i = from; i < Math.min(from + step, tokens.length); i++)
        line += tokens[i] === corpus.boundary ? `\n${tokens[i]} ` : `${tokens[i]} `;
      writeSync(file, line);
    }
    writeSync(file, '\n');
    closeSync(file);
  });

/** About `megabytes` of the corpus as text, a JSON array of documents, and GPT-2's tokenizer.json beside it. @param {Corpus} corpus @param {number} megabytes */
export const sampleText = (corpus, megabytes) =>
  kept(corpus, `text${megabytes}.json`, (aside) => {
    const { decode } = peers('gpt-tokenizer/encoding/r50k_base');
    const tokens = readTokens({ ...corpus, shards: corpus.shards.slice(0, 1), tokens: corpus.shards[0].tokens });
    const documents = [];
    let bytes = 0;
    for (let from = 0; from < tokens.length && bytes < megabytes * 1e6; ) {
      let to = from + 1;
      while (to < tokens.length && tokens[to] !== corpus.boundary) to++;
      const document = decode(tokens.subarray(from + 1, to));
      documents.push(document);
      bytes += Buffer.byteLength(document);
      from = to;
    }
    writeFileSync(aside, JSON.stringify(documents));
  });

/** @param {Corpus} corpus */
export const gpt2Json = (corpus) => kept(corpus, 'gpt2.json', (aside) => writeFileSync(aside, JSON.stringify(gpt2TokenizerJson())));

/** What f-grams are mined from and the text that they are matched on: the last shard is held out where there are several. @param {Corpus} corpus */
export function heldOut(corpus) {
  const last = /** @type {{ path: string, tokens: number }} */ (corpus.shards.at(-1));
  const shards = corpus.shards.length === 1 ? corpus.shards : corpus.shards.slice(0, -1);
  const tokens = shards.reduce((sum, shard) => sum + shard.tokens, 0);
  return { trained: { ...corpus, shards, tokens }, text: last.path, tokens: Math.min(2_000_000, last.tokens) };
}

/**
 * The most frequent `size` f-grams of the corpus, published by this repository's miner, and the same in the form of an answer.
 * @param {Corpus} corpus @param {number} size
 * @returns {Promise<{ directory: string, answer: string, size: number, maxLength: number }>}
 */
export async function minedSet(corpus, size) {
  const maxLength = 5;
  const make = () =>
    kept(corpus, `fgrams-${size}`, (aside) => mine(tokenCorpus(corpus), { maxLength, minCount: 5, maxFgrams: size, directory: aside }));
  const directory = await make();
  const set = await openFgrams(directory).catch(async () => {
    // One that an older version has left.
    rmSync(directory, { recursive: true });
    return openFgrams(await make());
  });
  const answer = await kept(corpus, `answer-${size}`, (aside) => writeAnswer(set, aside));
  return { directory, answer, size: set.size, maxLength };
}

/** The same f-grams as JSON, ten thousand a line. @param {Corpus} corpus @param {number} size */
export const fgramsJson = async (corpus, size) => {
  const { directory } = await minedSet(corpus, size);
  return kept(corpus, `fgrams-${size}.json`, async (aside) => {
    const set = await openFgrams(directory);
    const file = openSync(aside, 'w');
    for (let from = 0; from < set.size; from += 10_000) {
      const some = Array.from({ length: Math.min(10_000, set.size - from) }, (_, i) => [...set.tokensOf(from + i)]);
      writeSync(file, `${JSON.stringify(some)}\n`);
    }
    closeSync(file);
  });
};
