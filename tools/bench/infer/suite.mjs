/** Decoding with f-grams against the same decoder without, step by step in turn; how soon a command says its first token, a server under load. */
import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { createModel } from '@sconelm/fgram-model';
import { openDevice } from '@sconelm/tensor-webgpu';
import { batchDecoder } from '../../../apps/infer/dist/engine/batch-decoder.js';
import { ROOT } from '../../setup/root.mjs';
import { measureJavaScript } from './javascript.mjs';
import { measureLoad } from './load.mjs';
import { CONTEXT, createRun, createStoreOf, DECODER, fgramSet, SMALL, tokenStream } from './model.mjs';

/** @typedef {import('../report.mjs').Measurement} Measurement */
/** @typedef {import('@sconelm/tensor-webgpu').Device} Device */
/** @typedef {import('../../../apps/infer/src/engine/batch-decoder.js').BatchDecoder} BatchDecoder */

const OWN = 'scone';
const PEER = 'decoder-only';
/** The peer once more: how far two of the same are apart is what a difference is worth. */
const CONTROL = 'decoder-only-again';
const SCRATCH = path.join(process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), '.cache'), 'sconelm/bench/infer');
const PREFILL = 2048;
/** Tokens of each sequence in one round. */
const ROUND = 24;

/** The lower quartile: what a step takes while little else runs. */
const quartile = (/** @type {readonly number[]} */ xs) => [...xs].sort((a, b) => a - b)[xs.length >> 2];
const median = (/** @type {readonly number[]} */ xs) => [...xs].sort((a, b) => a - b)[xs.length >> 1];

/** A context's blocks for each slot. @param {BatchDecoder} decoder @param {number} slot */
const blocksOf = ({ blocks, slots }, slot) => Array.from({ length: blocks / slots }, (_, i) => (slot * blocks) / slots + i);

/** Milliseconds per step of `batch` sequences, one token each, over tokens that are given. @param {BatchDecoder} decoder @param {number} batch @param {number} seed */
async function timeSteps(decoder, batch, seed) {
  const streams = Array.from({ length: batch }, (_, slot) => tokenStream(ROUND + 1, seed + slot));
  const step = (/** @type {number} */ i) =>
    decoder.step(streams.map((tokens, slot) => ({ slot, blocks: blocksOf(decoder, slot), start: i, tokens: [tokens[i]], wanted: 'last' })));
  await step(0);
  const times = [];
  for (let i = 1; i <= ROUND; i++) {
    const started = performance.now();
    const failed = (await step(i)).find((result) => result instanceof Error);
    times.push(performance.now() - started);
    if (failed !== undefined) throw failed;
  }
  for (let slot = 0; slot < batch; slot++) decoder.begin(slot, []);
  return quartile(times);
}

/** Milliseconds of a prompt. @param {BatchDecoder} decoder @param {number} seed */
async function timePrefill(decoder, seed) {
  const tokens = tokenStream(PREFILL, seed);
  const started = performance.now();
  const [result] = await decoder.step([{ slot: 0, blocks: blocksOf(decoder, 0), start: 0, tokens, wanted: 'last' }]);
  if (result instanceof Error) throw result;
  const ms = performance.now() - started;
  decoder.begin(0, []);
  return ms;
}

/** @typedef {{ slots: number, decoder: typeof DECODER, isCold?: boolean, latencyMs?: number, time: (decoder: BatchDecoder, seed: number) => Promise<number> }} DecodingCase */

/** @param {number} slots @param {Partial<DecodingCase>} [more] @returns {DecodingCase} */
const stepping = (slots, more) => ({ slots, decoder: DECODER, time: (decoder, seed) => timeSteps(decoder, slots, seed), ...more });

/** @type {Record<string, DecodingCase>} */
const DECODING = {
  'overhead-warm-1': stepping(1),
  'overhead-warm-16': stepping(16),
  'overhead-small-1': stepping(1, { decoder: SMALL }),
  'overhead-cold-1': stepping(1, { isCold: true }),
  'overhead-cold-16': stepping(16, { isCold: true }),
  'overhead-remote-1ms-16': stepping(16, { latencyMs: 1 }),
  prefill: { slots: 1, decoder: DECODER, time: timePrefill },
};

/** A store whose rows come so many milliseconds later. @param {import('@sconelm/offload-store').RowStore} store @param {number} latencyMs */
const later = (store, latencyMs) => ({
  tierOf: (/** @type {number} */ id) => store.tierOf(id),
  read: async (/** @type {Uint32Array} */ ids, /** @type {Float32Array} */ into, /** @type {{ lost: Uint8Array }} */ options) => {
    await new Promise((resolve) => setTimeout(resolve, latencyMs));
    await store.read(ids, into, options);
  },
});

/** The page cache forgets the files of a folder. @param {string} directory */
function forget(directory) {
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const args = [`if=${path.join(entry.parentPath, entry.name)}`, 'iflag=nocache', 'count=0', 'status=none'];
    if (spawnSync('dd', args).status !== 0) throw new Error('dd cannot drop files from the page cache here');
  }
}

/** @type {import('../report.mjs').Area} */
export const area = {
  engine: OWN,
  engines: [OWN, PEER, CONTROL],
  cases: [...Object.keys(DECODING), 'first-token', 'javascript-per-token', 'load'],
  async measure({ engines, cases, rounds, seconds = 300, say }) {
    /** @type {Measurement[]} */
    const measurements = [];
    const device = await openDevice();
    const decoding = Object.keys(DECODING).filter((name) => cases.includes(name));
    if (decoding.length > 0) measurements.push(...(await measureDecoding(device, decoding, engines, rounds, say)));
    if (cases.includes('first-token') && engines.includes(OWN)) measurements.push(await measureFirstToken(device, rounds));
    if (cases.includes('javascript-per-token') && engines.includes(OWN))
      measurements.push(await measureJavaScript(device, OWN, path.join(SCRATCH, 'rows-javascript'), rounds));
    if (cases.includes('load') && engines.includes(OWN)) {
      const run = path.join(SCRATCH, 'run');
      await createRun(device, run);
      measurements.push(...(await measureLoad(OWN, run, seconds, say)));
    }
    rmSync(SCRATCH, { recursive: true, force: true });
    const adapter = device.info.description;
    device[Symbol.dispose]();
    return { adapter, measurements };
  },
};

/** @param {Device} device @param {readonly string[]} cases @param {readonly string[]} engines @param {number} rounds @param {(line: string) => void} say */
async function measureDecoding(device, cases, engines, rounds, say) {
  /** @type {Measurement[]} */
  const measurements = [];
  const set = fgramSet();
  for (const name of cases) {
    const { slots, decoder: config, isCold = false, latencyMs, time } = DECODING[name];
    const model = createModel(device, { decoder: config }, { seed: 1 });
    const directory = path.join(SCRATCH, `rows-${config.width}`);
    const store = await createStoreOf(directory, set, config.width);
    const rows = latencyMs === undefined ? store : later(store, latencyMs);
    const fgramsOf = () => ({ matcher: set.matcher(), rows });
    const all = [
      { engine: OWN, decoder: batchDecoder(device, model, { slots, fgramsOf }), times: /** @type {number[]} */ ([]) },
      ...[PEER, CONTROL].map((engine) => ({
        engine,
        decoder: batchDecoder(device, model, { slots }),
        times: /** @type {number[]} */ ([]),
      })),
    ].filter(({ engine }) => engines.includes(engine));
    for (const { decoder } of all) await time(decoder, 0);
    for (let round = 1; round <= rounds; round++) {
      // Who is first changes every round.
      for (const one of [...all.slice(round % all.length), ...all.slice(0, round % all.length)]) {
        if (isCold) forget(directory);
        one.times.push(await time(one.decoder, round));
      }
    }
    for (const { decoder } of all) decoder[Symbol.dispose]();
    await store.close();
    model[Symbol.dispose]();
    const [ours, theirs] = [OWN, PEER].map((engine) => all.find((one) => one.engine === engine)?.times);
    // Rounds are compared in pairs, so that what the machine does meanwhile falls on both.
    const percent = ours && theirs && 100 * (median(ours.map((ms, i) => ms / theirs[i])) - 1);
    const microseconds = ours && theirs && Math.round(1000 * median(ours.map((ms, i) => ms - theirs[i])));
    say(`  ${name}: ${all.map(({ engine, times }) => `${engine} ${median(times).toFixed(3)} ms`).join(', ')}`);
    for (const { engine, times } of all) {
      const compared = engine === OWN && percent !== undefined;
      const remarks = compared
        ? { facts: { percent, microseconds }, note: `${percent >= 0 ? '+' : '−'}${Math.abs(percent).toFixed(1)}%, ${microseconds} µs` }
        : {};
      measurements.push({ case: name, engine, median: median(times), unit: 'ms', ...remarks });
    }
  }
  return measurements;
}

/** From the start of a process to the first token of a small run, caches warm. @param {Device} device @param {number} rounds @returns {Promise<Measurement>} */
async function measureFirstToken(device, rounds) {
  const run = path.join(SCRATCH, 'run');
  await createRun(device, run);
  const main = path.join(ROOT, 'apps/infer/dist/main.js');
  const args = [main, 'generate', '--run', run, '--prompt', 'The people of the', '--max-tokens', '1', '--json'];
  const times = Array.from({ length: Math.min(rounds, 5) + 1 }, () => {
    const started = performance.now();
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`generate ended with ${status}: ${stderr}`);
    return performance.now() - started;
  });
  // The first one warms the caches. The whole command is timed: its end comes just after the token.
  return { case: 'first-token', engine: OWN, median: median(times.slice(1)), unit: 'ms', facts: { context: CONTEXT } };
}
