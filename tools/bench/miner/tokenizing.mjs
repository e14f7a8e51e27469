/** What every tokenizer is asked: all documents of a text, one after the other; the hash of all ids says whether they agree. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { finish, question } from './measured.mjs';

/** @param {(json: string) => Promise<(document: string) => ArrayLike<number> | Promise<ArrayLike<number>>>} open from GPT-2's tokenizer.json to a function from text to ids */
export async function tokenize(open) {
  const { text, tokenizer } = question();
  /** @type {string[]} */
  const documents = JSON.parse(readFileSync(text, 'utf8'));
  const encode = await open(readFileSync(tokenizer, 'utf8'));
  const hash = createHash('sha256');
  let tokens = 0;
  let cpuMicroseconds = 0;
  for (const document of documents) {
    const before = process.cpuUsage();
    const ids = await encode(document);
    const { user, system } = process.cpuUsage(before);
    cpuMicroseconds += user + system;
    tokens += ids.length;
    hash.update(Uint16Array.from(ids));
  }
  const bytes = documents.reduce((sum, document) => sum + Buffer.byteLength(document), 0);
  finish({ value: bytes / cpuMicroseconds, tokens, bytes, hash: hash.digest('hex') });
}
