/** F-grams out of JSON into a Map that can look them up: how a set is read by who has no format for it. */
import { readFileSync } from 'node:fs';
import { finish, question } from '../miner/measured.mjs';

const { json } = question();
const start = performance.now();
/** @type {number[][]} */
const fgrams = [];
// One array a line: a string of V8 holds 512 MB, ten million f-grams take more than that in some corpora.
const bytes = readFileSync(json);
for (let from = 0; from < bytes.length; ) {
  let to = bytes.indexOf(10, from);
  if (to < 0) to = bytes.length;
  for (const fgram of JSON.parse(bytes.toString('latin1', from, to))) fgrams.push(fgram);
  from = to + 1;
}
const ids = new Map();
for (let id = 0; id < fgrams.length; id++) ids.set(String.fromCharCode(...fgrams[id]), id);
const seconds = (performance.now() - start) / 1e3;
finish({ value: seconds, size: ids.size, bytesPerFgram: bytes.length / ids.size });
