/** What every matcher is asked: the longest f-gram that ends at each token of a held-out text, one token at a time or all at once. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { finish, question } from './measured.mjs';

/** @typedef {{ size: number, maxLength: number, lengthOf: (id: number) => number, tokenOf: (id: number, i: number) => number }} Records */
/** @typedef {{ push(token: number): number, readonly length: number }} Steps */
/** @typedef {(tokens: Uint16Array, ids: Int32Array, lengths: Uint8Array) => void} Bulk */

/**
 * @param {(spec: any) => Promise<(boundary: number) => Steps>} open
 * @param {(spec: any) => Promise<Bulk>} [openBulk] where an engine has a way of its own for many tokens
 */
export async function matching(open, openBulk) {
  const spec = question();
  const { text, tokens: limit, boundary, bulk } = spec;
  const bytes = readFileSync(text);
  const tokens = new Uint16Array(bytes.buffer, bytes.byteOffset, Math.min(limit, bytes.length >> 1));
  const ids = new Int32Array(tokens.length);
  const lengths = new Uint8Array(tokens.length);
  /** @type {Bulk} */
  let run;
  if (bulk && openBulk !== undefined) run = await openBulk(spec);
  else {
    const start = await open(spec);
    run = (some) => {
      const steps = start(boundary);
      for (let i = 0; i < some.length; i++) {
        ids[i] = steps.push(some[i]);
        lengths[i] = steps.length;
      }
    };
  }
  // The compiler has seen the loop before it is measured, on other tokens.
  run(tokens.slice(-200_000), ids, lengths);
  const before = process.cpuUsage();
  run(tokens, ids, lengths);
  const { user, system } = process.cpuUsage(before);
  const nanoseconds = ((user + system) * 1e3) / tokens.length;
  let matched = 0;
  let sum = 0;
  for (let i = 0; i < ids.length; i++) {
    if (ids[i] >= 0) matched++;
    sum += lengths[i];
  }
  finish({
    value: bulk ? 1e3 / nanoseconds : nanoseconds,
    hitRate: matched / ids.length,
    meanLength: sum / ids.length,
    hash: createHash('sha256').update(ids).update(lengths).digest('hex'),
  });
}
