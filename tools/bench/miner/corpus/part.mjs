/** One source of documents becomes one file of tokens and one index; run as a process of its own: node part.mjs OUT NAME SOURCE. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import process from 'node:process';
import { documentOf } from './text.mjs';

const peers = createRequire(new URL('../../peers/package.json', import.meta.url));
/** The token that opens a document: GPT-2's <|endoftext|>. */
export const BOUNDARY = 50_256;

/** @typedef {{ name: string, documents: number, tokens: number, bytes: number, downloaded: number, skipped: number, missing?: string }} PartFacts */

/** @param {string} folder @param {string} name @returns {IterableIterator<string>} documents of a Debian package, unpacked and not installed */
function* packageDocuments(folder, name, /** @type {PartFacts} */ facts) {
  const scratch = mkdtempSync(path.join(folder, `.unpack-${name}-`));
  try {
    const got = spawnSync('apt-get', ['-qq', '-o', 'APT::Sandbox::User=root', 'download', name], {
      cwd: scratch,
      encoding: 'utf8',
      timeout: 120_000,
    });
    const deb = readdirSync(scratch).find((file) => file.endsWith('.deb'));
    if (got.status !== 0 || deb === undefined) {
      facts.missing = (got.stderr ?? '').trim().split('\n').at(-1) || 'apt-get download failed';
      return;
    }
    facts.downloaded = readFileSync(path.join(scratch, deb)).length;
    const unpacked = spawnSync('dpkg-deb', ['-x', deb, 'tree'], { cwd: scratch, encoding: 'utf8' });
    if (unpacked.status !== 0) throw new Error(`dpkg-deb -x ${deb}: ${unpacked.stderr}`);
    const tree = path.join(scratch, 'tree');
    const files = readdirSync(tree, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => path.relative(tree, path.join(entry.parentPath ?? entry.path, entry.name)))
      .sort();
    for (const file of files) {
      let text = null;
      try {
        text = documentOf(file, readFileSync(path.join(tree, file)));
      } catch (error) {
        process.stderr.write(`${name}: ${file}: ${/** @type {Error} */ (error).message}\n`);
      }
      if (text === null) facts.skipped++;
      else yield text;
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** @param {string} file .jsonl or .jsonl.gz or .jsonl.zst, `text` in each line */
function* jsonlDocuments(file) {
  const raw = readFileSync(file);
  const bytes = file.endsWith('.zst') ? peers('fzstd').decompress(raw) : file.endsWith('.gz') ? peers('node:zlib').gunzipSync(raw) : raw;
  for (const line of Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8').split('\n')) {
    if (line !== '') yield JSON.parse(line).text;
  }
}

const [folder, name, source] = process.argv.slice(2);
const { encode } = peers('gpt-tokenizer/encoding/r50k_base');
const plain = { allowedSpecial: new Set(), disallowedSpecial: new Set() };
/** @type {PartFacts} */
const facts = { name, documents: 0, tokens: 0, bytes: 0, downloaded: 0, skipped: 0 };
let tokens = new Uint16Array(1 << 20);
/** Per document: the first eight bytes of its SHA-256, its tokens with the opening one. */
const hashes = [];
const lengths = [];
for (const text of source === 'debian' ? packageDocuments(folder, name, facts) : jsonlDocuments(source)) {
  const ids = encode(text, plain);
  if (facts.tokens + ids.length + 1 > tokens.length) {
    const grown = new Uint16Array(2 * (facts.tokens + ids.length + 1));
    grown.set(tokens.subarray(0, facts.tokens));
    tokens = grown;
  }
  tokens[facts.tokens] = BOUNDARY;
  tokens.set(ids, facts.tokens + 1);
  hashes.push(createHash('sha256').update(text).digest().readBigUInt64LE(0));
  lengths.push(ids.length + 1);
  facts.tokens += ids.length + 1;
  facts.documents++;
  facts.bytes += Buffer.byteLength(text);
}
const out = path.join(folder, name);
writeFileSync(`${out}.u16.tmp`, tokens.subarray(0, facts.tokens));
renameSync(`${out}.u16.tmp`, `${out}.u16`);
writeFileSync(`${out}.json.tmp`, JSON.stringify({ ...facts, hashes: hashes.map(String), lengths }));
renameSync(`${out}.json.tmp`, `${out}.json`);
process.stdout.write(JSON.stringify(facts));
