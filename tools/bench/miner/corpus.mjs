/**
 * node tools/bench/miner/corpus.mjs [--tokens 50M] [--jobs 2]: the corpus that mining is measured on, built once into the user's cache.
 * Real documents in English: shared/data/corpus where it is and documentation out of Debian's archive, as GPT-2 tokens. The order of
 * documents is that of their hashes, so every prefix is a fair sample; shards end at the first document's end past ten million tokens.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ensureDependencies } from '../../setup/dependencies.mjs';
import { ROOT } from '../../setup/root.mjs';
import { ALSO_SHARED, PACKAGES } from './corpus/packages.mjs';

export const CACHE = path.join(process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache'), 'sconelm', 'bench', 'miner');
const PARTS = path.join(CACHE, 'parts');
const SHARED = path.join(ROOT, '../shared/data/corpus');
const SHARD_TOKENS = 10_000_000;
const VOCAB_SIZE = 50_257;
const BOUNDARY = 50_256;

/**
 * @typedef {object} CorpusFacts
 * @property {string} directory
 * @property {number} tokens
 * @property {number} documents
 * @property {number} duplicates documents left out because their text had been seen
 * @property {number} textBytes
 * @property {number} vocabSize
 * @property {number} boundary the token that opens a document
 * @property {{ path: string, tokens: number }[]} shards u16, little-endian
 * @property {{ name: string, documents: number, tokens: number, bytes: number, downloaded: number }[]} parts
 */

/** @typedef {{ shards: readonly { path: string, tokens: number }[], tokens: number, vocabSize: number, boundary: number }} Corpus */

/** "50M" -> 50,000,000. @param {string} text */
export function parseTokens(text) {
  const match = /^(\d+(?:\.\d+)?)([kMG]?)$/.exec(text);
  if (match === null) throw new Error(`'${text}' is no number of tokens: write 50M or 250M`);
  return Number(match[1]) * { '': 1, k: 1e3, M: 1e6, G: 1e9 }[/** @type {'' | 'k'} */ (match[2])];
}

function sources() {
  const shared = existsSync(SHARED) ? readdirSync(SHARED).filter((file) => file.endsWith('.jsonl.zst')) : [];
  const quickstart = ['train', 'heldout'].map((split) => path.join(ROOT, `data/quickstart/sotu-${split}.jsonl.gz`));
  return [
    ...quickstart.map((file) => ({ name: path.basename(file, '.jsonl.gz'), source: file })),
    ...shared.map((file) => ({ name: `shared-${file.slice(0, -'.jsonl.zst'.length)}`, source: path.join(SHARED, file) })),
    ...(shared.length === 0 ? [...ALSO_SHARED, ...PACKAGES] : PACKAGES).map((name) => ({ name, source: 'debian' })),
  ];
}

/** @param {string} name */
const readPart = (name) => JSON.parse(readFileSync(path.join(PARTS, `${name}.json`), 'utf8'));

/** @param {{ name: string, source: string }} part @returns {Promise<void>} */
const makePart = ({ name, source }) =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [fileURLToPath(new URL('./corpus/part.mjs', import.meta.url)), PARTS, name, source], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    child.on('error', reject);
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${name}: its process ended with ${code}`))));
  });

/**
 * Parts until there are `wanted` tokens, then shards of them.
 * @param {{ wanted: number, jobs?: number, say?: (line: string) => void }} options
 * @returns {Promise<CorpusFacts>}
 */
export async function buildCorpus({ wanted, jobs = 2, say = () => {} }) {
  await ensureDependencies(path.join(ROOT, 'tools/bench/peers'));
  mkdirSync(PARTS, { recursive: true });
  for (const stale of readdirSync(PARTS))
    if (/^\.unpack-|\.tmp$/.test(stale)) rmSync(path.join(PARTS, stale), { recursive: true, force: true });
  let total = 0;
  const seen = new Set();
  /** @type {string[]} */
  const done = [];
  const count = (/** @type {string} */ name) => {
    const { hashes, lengths, missing, documents, downloaded } = readPart(name);
    let added = 0;
    for (let i = 0; i < hashes.length; i++) {
      if (seen.has(hashes[i])) continue;
      seen.add(hashes[i]);
      added += lengths[i];
    }
    total += added;
    done.push(name);
    const what = missing ?? `${documents} documents, ${(added / 1e6).toFixed(2)}M new tokens, ${(downloaded / 1e6).toFixed(0)} MB fetched`;
    say(`${name.padEnd(34)} ${what}; ${(total / 1e6).toFixed(1)}M in all`);
  };
  /** @type {{ name: string, source: string }[]} */
  const waiting = [];
  for (const part of sources()) {
    if (existsSync(path.join(PARTS, `${part.name}.json`))) count(part.name);
    else waiting.push(part);
  }
  const work = async () => {
    for (let part = waiting.shift(); part !== undefined && total < wanted; part = waiting.shift()) {
      try {
        await makePart(part);
        count(part.name);
      } catch (error) {
        say(`${part.name}: ${/** @type {Error} */ (error).message}`);
      }
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  return assemble(done);
}

/** @param {string[]} names @returns {CorpusFacts} */
function assemble(names) {
  const parts = names.map((name) => ({ ...readPart(name), bytes16: readFileSync(path.join(PARTS, `${name}.u16`)) }));
  /** @type {{ hash: bigint, part: number, start: number, length: number }[]} */
  const documents = [];
  const seen = new Set();
  let duplicates = 0;
  parts.forEach(({ hashes, lengths }, part) => {
    let start = 0;
    for (let i = 0; i < hashes.length; i++) {
      if (seen.has(hashes[i])) duplicates++;
      else documents.push({ hash: BigInt(hashes[i]), part, start, length: lengths[i] });
      seen.add(hashes[i]);
      start += lengths[i];
    }
  });
  documents.sort((a, b) => (a.hash < b.hash ? -1 : a.hash > b.hash ? 1 : 0));
  const directory = path.join(CACHE, 'corpus');
  const fresh = `${directory}.new`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { recursive: true });
  /** @type {{ path: string, tokens: number }[]} */
  const shards = [];
  let pending = /** @type {Buffer[]} */ ([]);
  let held = 0;
  const flush = () => {
    const name = `tokens-${String(shards.length).padStart(3, '0')}.u16`;
    writeFileSync(path.join(fresh, name), Buffer.concat(pending));
    shards.push({ path: path.join(directory, name), tokens: held });
    pending = [];
    held = 0;
  };
  let tokens = 0;
  for (const { part, start, length } of documents) {
    pending.push(parts[part].bytes16.subarray(2 * start, 2 * (start + length)));
    held += length;
    tokens += length;
    if (tokens >= (shards.length + 1) * SHARD_TOKENS) flush();
  }
  if (held > 0) flush();
  const facts = {
    tokens,
    documents: documents.length,
    duplicates,
    textBytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
    vocabSize: VOCAB_SIZE,
    boundary: BOUNDARY,
    parts: parts
      .filter(({ tokens: own }) => own > 0)
      .map(({ name, documents: own, tokens: ids, bytes, downloaded }) => ({ name, documents: own, tokens: ids, bytes, downloaded })),
  };
  writeFileSync(
    path.join(fresh, 'corpus.json'),
    JSON.stringify({ ...facts, shards: shards.map((shard) => ({ file: path.basename(shard.path), tokens: shard.tokens })) }, null, 1),
  );
  rmSync(directory, { recursive: true, force: true });
  renameSync(fresh, directory);
  return { directory, ...facts, shards };
}

/**
 * The corpus as it was built, its first shards if `limit` tokens are enough.
 * @param {number} [limit] @returns {CorpusFacts | undefined} undefined where there is none
 */
export function openCorpus(limit = Number.POSITIVE_INFINITY) {
  const directory = path.join(CACHE, 'corpus');
  if (!existsSync(path.join(directory, 'corpus.json'))) return undefined;
  const facts = JSON.parse(readFileSync(path.join(directory, 'corpus.json'), 'utf8'));
  const shards = [];
  let tokens = 0;
  for (const { file, tokens: own } of facts.shards) {
    if (tokens >= limit) break;
    shards.push({ path: path.join(directory, file), tokens: own });
    tokens += own;
  }
  return { ...facts, directory, shards, tokens };
}

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

/** Where no corpus was built: the addresses that this repository ships. @returns {Promise<CorpusFacts>} */
export const quickstartCorpus = () => buildCorpus({ wanted: 1, jobs: 1 });

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { tokens: { type: 'string', default: '300M' }, jobs: { type: 'string', default: '2' } } });
  const facts = await buildCorpus({
    wanted: parseTokens(values.tokens),
    jobs: Number(values.jobs),
    say: (line) => process.stdout.write(`${line}\n`),
  });
  process.stdout.write(
    `${facts.directory}: ${facts.tokens.toLocaleString('en')} tokens in ${facts.documents.toLocaleString('en')} documents (${facts.duplicates.toLocaleString('en')} duplicates left out), ${(facts.textBytes / 1e6).toFixed(0)} MB of text, ${facts.shards.length} shards\n`,
  );
}
