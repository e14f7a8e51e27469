/** What inference is measured with: a decoder of a few million parameters, and f-grams that match at every position, the worst case. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { sha256 } from '@sconelm/artifact';
import { fingerprint, saveCheckpoint, uniform } from '@sconelm/decoder';
import { createModel, precompute, publishCheckpoint, runPaths, writeRunManifest } from '@sconelm/fgram-model';
import { encodeFgramSet, FgramSet, openFgrams, publishFgrams, Tokenizer, trainTokenizer } from '@sconelm/ngram-miner';
import { createStore, openStore } from '@sconelm/offload-store';

export const CONTEXT = 2112;
export const DECODER = { vocabSize: 4096, contextLength: CONTEXT, layers: 4, width: 256, heads: 4 };
/** As the quickstart trains it, but for its vocabulary, which is that of the f-grams here. */
export const SMALL = { vocabSize: 4096, contextLength: 128, layers: 2, width: 64, heads: 2 };

/** Tokens that may follow each token. */
const FOLLOWERS = 16;
const BOUNDARY = 0;

const followerOf = (/** @type {number} */ token, /** @type {number} */ k) => 1 + ((token * 7 + k * 131) % (DECODER.vocabSize - 1));

/** Every token with each of its followers, in the order of ids. */
function pairs() {
  const followers = Array.from({ length: DECODER.vocabSize - 1 }, (_, i) =>
    Array.from({ length: FOLLOWERS }, (_, k) => followerOf(1 + i, k)).sort((a, b) => a - b),
  ).flat();
  const size = (DECODER.vocabSize - 1) * FOLLOWERS;
  return {
    size,
    maxLength: 2,
    vocabSize: DECODER.vocabSize,
    boundary: BOUNDARY,
    parents: Uint32Array.from({ length: size }, (_, id) => 1 + Math.floor(id / FOLLOWERS)),
    tokens: Uint32Array.from(followers),
    counts: new Float64Array(size).fill(1),
  };
}

/** A set in which every pair of `tokenStream` is. */
export function fgramSet() {
  const { bytes, manifest } = encodeFgramSet(pairs(), { minCount: 1 });
  return FgramSet.parse(bytes, { ...manifest, hash: sha256(bytes) });
}

/** @param {number} length @param {number} seed @returns {number[]} */
export function tokenStream(length, seed) {
  const tokens = [1 + Math.floor(uniform(seed, 0) * (DECODER.vocabSize - 1))];
  while (tokens.length < length) tokens.push(followerOf(tokens[tokens.length - 1], Math.floor(uniform(seed, tokens.length) * FOLLOWERS)));
  return tokens;
}

/** @param {string} directory @param {FgramSet} set @param {number} width */
export async function createStoreOf(directory, set, width) {
  rmSync(directory, { recursive: true, force: true });
  const url = pathToFileURL(directory).href;
  const writer = await createStore(url, { rows: set.size, width, dtype: 'f32', binding: { fgrams: set.hash, model: '0'.repeat(64) } });
  const CHUNK = 4096;
  for (let first = 0; first < set.size; first += CHUNK) {
    const ids = Uint32Array.from({ length: Math.min(CHUNK, set.size - first) }, (_, i) => first + i);
    await writer.write(
      ids,
      Float32Array.from({ length: ids.length * width }, (_, i) => Math.sin(first + i)),
    );
  }
  await writer.publish();
  await writer[Symbol.asyncDispose]();
  const store = await openStore(url);
  // Warm: every page has been read once.
  const all = Uint32Array.from({ length: set.size }, (_, id) => id);
  for (let first = 0; first < set.size; first += CHUNK)
    await store.read(all.subarray(first, first + CHUNK), new Float32Array(CHUNK * width));
  return store;
}

/** A run of the quickstart's sizes, untrained. @param {import('@sconelm/tensor-webgpu').Device} device @param {string} directory */
export async function createRun(device, directory) {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const paths = runPaths(directory);
  const json = JSON.stringify(trainTokenizer(['The people of the United States. '.repeat(50)], { vocabSize: 280 }));
  writeFileSync(paths.tokenizer, json);
  const { vocabSize, endOfText } = Tokenizer.parse(json);
  const decoder = { vocabSize: 1024, contextLength: 128, layers: 2, width: 64, heads: 2 };
  const fgram = { maxLength: 2, layers: 2, width: 64, heads: 2, unit: 0.03, finalNorm: false };
  const size = vocabSize - 2;
  await publishFgrams(
    paths.fgrams,
    {
      size,
      maxLength: 2,
      vocabSize: decoder.vocabSize,
      boundary: endOfText,
      parents: Uint32Array.from({ length: size }, (_, i) => i),
      tokens: Uint32Array.from({ length: size }, (_, i) => i + 1),
      counts: new Float64Array(size).fill(1),
    },
    { minCount: 1 },
  );
  const set = await openFgrams(paths.fgrams);
  const model = createModel(device, { decoder, fgram }, { seed: 1 });
  await writeRunManifest(directory, { model: { decoder, fgram }, tokenizer: sha256(json), fgrams: set.hash, training: {} });
  await publishCheckpoint(directory, 1, (aside) => saveCheckpoint(path.join(aside, 'model.safetensors'), model.variables), { last: 1 });
  const binding = { fgrams: set.hash, model: await fingerprint(model.variables) };
  const writer = await createStore(`file:${paths.rows}`, { rows: size, width: 64, dtype: 'f32', binding });
  await precompute(device, set, model, fgram, writer);
  await writer.publish();
  await writer[Symbol.asyncDispose]();
  model[Symbol.dispose]();
}
