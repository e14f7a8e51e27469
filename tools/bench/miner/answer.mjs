/** Answers of all engines in one form: f-grams in order of rank, each its count in 4 bytes and K tokens in 2, 0xFFFF after its last. */
import { createHash } from 'node:crypto';
import { closeSync, createReadStream, existsSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { createInterface } from 'node:readline';

const peers = createRequire(new URL('../peers/package.json', import.meta.url));

/** @param {string} file @returns {Promise<{ fgrams: number, hash: string }>} */
export async function hashAnswer(file, /** @type {number} */ maxLength) {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { fgrams: bytes / (4 + 2 * maxLength), hash: hash.digest('hex') };
}

/** Writes records one by one. @param {string} file @param {number} maxLength */
export function answerWriter(file, maxLength) {
  const size = 4 + 2 * maxLength;
  const block = Buffer.alloc(size * 65_536);
  const out = openSync(file, 'w');
  let used = 0;
  return {
    /** @param {number} count @param {ArrayLike<number>} tokens */
    write(count, tokens) {
      if (used === block.length) this.flush();
      block.writeUInt32LE(count, used);
      for (let i = 0; i < maxLength; i++) block.writeUInt16LE(i < tokens.length ? tokens[i] : 0xffff, used + 4 + 2 * i);
      used += size;
    },
    flush() {
      writeSync(out, block, 0, used);
      used = 0;
    },
    close() {
      this.flush();
      closeSync(out);
    },
  };
}

/** @param {string} parquet in order of rank @param {string} file @param {number} maxLength */
export function answerOfParquet(parquet, file, maxLength) {
  if (existsSync(file)) rmSync(file);
  const { Session } = peers('chdb');
  const session = new Session(`${file}.session`);
  const columns = ['c', ...Array.from({ length: maxLength }, (_, i) => `t${i}`)];
  session.query('SET max_threads = 1');
  session.query(`INSERT INTO FUNCTION file('${file}', 'RowBinary', 'c UInt32, ${columns
    .slice(1)
    .map((name) => `${name} UInt16`)
    .join(', ')}')
    SELECT ${columns.join(', ')} FROM file('${parquet}', 'Parquet')`);
  session.close();
  rmSync(`${file}.session`, { recursive: true, force: true });
}

/**
 * From this repository's columns: an f-gram is its prefix, which comes before it, and one more token.
 * @param {string} columns folder @param {string} file @param {{ size: number, countBytes: number, maxLength: number, vocabSize: number }} options
 */
export function answerOfColumns(columns, file, { size, countBytes, maxLength, vocabSize }) {
  const read = (/** @type {string} */ name) => readFileSync(path.join(columns, name));
  const [parents, tokens, counts] = ['parents', 'tokens', 'counts'].map(read);
  const width = 2 + maxLength;
  const records = new Uint16Array(size * width).fill(0xffff);
  for (let id = 0; id < size; id++) {
    const at = id * width;
    const count = countBytes === 4 ? counts.readUInt32LE(4 * id) : counts.readDoubleLE(8 * id);
    const parent = parents.readUInt32LE(4 * id);
    const from = (parent - vocabSize) * width;
    let n = 0;
    if (parent < vocabSize) records[at + 2 + n++] = parent;
    else for (; n < maxLength && records[from + 2 + n] !== 0xffff; n++) records[at + 2 + n] = records[from + 2 + n];
    records[at + 2 + n] = tokens.readUInt16LE(2 * id);
    records[at] = count & 0xffff;
    records[at + 1] = count >>> 16;
  }
  writeFileSync(file, records);
}

/** IRSTLM's table of all n-grams of the longest length, `ids...<tab>count`: shorter ones are its prefixes, summed up to the document's end. */
export async function answerOfGoogleTable(
  /** @type {string} */ table,
  /** @type {string} */ file,
  /** @type {{ maxLength: number, minCount: number, boundary: number }} */ { maxLength, minCount, boundary },
) {
  /** @type {[number[], number][]} */
  const fgrams = [];
  // Lines with a common prefix follow one another, so one open sum per length is enough.
  const open = Array.from({ length: maxLength + 1 }, () => ({ words: '', ids: /** @type {number[]} */ ([]), count: 0 }));
  const close = (/** @type {number} */ n) => {
    if (open[n].count >= minCount) fgrams.push([open[n].ids, open[n].count]);
    open[n] = { words: '', ids: [], count: 0 };
  };
  for await (const line of createInterface({ input: createReadStream(table, { highWaterMark: 1 << 20 }) })) {
    const [words, number] = line.split('\t');
    const all = words.split(' ');
    const ids = all.map(Number);
    const end = ids.findIndex((id, i) => Number.isNaN(id) || (i > 0 && id === boundary));
    for (let n = 2; n <= (end < 0 ? maxLength : end); n++) {
      const key = all.slice(0, n).join(' ');
      if (open[n].words !== key) {
        close(n);
        open[n] = { words: key, ids: ids.slice(0, n), count: 0 };
      }
      open[n].count += Number(number);
    }
  }
  for (let n = 2; n <= maxLength; n++) close(n);
  const byTokens = (/** @type {number[]} */ a, /** @type {number[]} */ b) => {
    for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i] - b[i];
    return 0;
  };
  fgrams.sort(([a, m], [b, n]) => n - m || a.length - b.length || byTokens(a, b));
  const writer = answerWriter(file, maxLength);
  for (const [tokens, count] of fgrams) writer.write(count, tokens);
  writer.close();
}

/** @param {import('@sconelm/ngram-miner').FgramSet} set @param {string} file */
export function writeAnswer(set, file) {
  const writer = answerWriter(file, set.maxLength);
  for (let id = 0; id < set.size; id++) writer.write(set.countOf(id), set.tokensOf(id));
  writer.close();
}
