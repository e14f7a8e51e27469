/** Decoding with f-grams against the same decoder without, step by step in turn; and how soon a command says its first token. */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { createModel } from '@sconelm/fgram-model';
import { openDevice } from '@sconelm/tensor-webgpu';
import { batchDecoder } from '../../../apps/infer/dist/engine/batch-decoder.js';
import { ROOT } from '../../setup/root.mjs';
import { CONTEXT, createRun, createStoreOf, DECODER, fgramSet, tokenStream } from './model.mjs';

/** @typedef {import('../report.mjs').Measurement} Measurement */
/** @typedef {import('@sconelm/tensor-webgpu').Device} Device */
/** @typedef {import('../../../apps/infer/src/engine/batch-decoder.js').BatchDecoder} BatchDecoder */

const OWN = 'scone';
const PEER = 'decoder-only';
const SCRATCH = path.join(process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), '.cache'), 'sconelm/bench/infer');
const PREFILL = 512;
/** Tokens of each sequence in one round. */
const ROUND = 24;

const median = (/** @type {readonly number[]} */ xs) => [...xs].sort((a, b) => a - b)[xs.length >> 1];

/** A context's blocks for each slot. @param {BatchDecoder} decoder @param {number} slot */
const blocksOf = ({ blocks, slots }, slot) => Array.from({ length: blocks / slots }, (_, i) => (slot * blocks) / slots + i);

/** Milliseconds per step of `batch` sequences, one token each, over tokens that are given. @param {BatchDecoder} decoder @param {number} batch @param {number} seed */
async function timeSteps(decoder, batch, seed) {
  const streams = Array.from({ length: batch }, (_, slot) => tokenStream(ROUND + 1, seed + slot));
  const step = (/** @type {number} */ i) =>
    decoder.step(streams.map((tokens, slot) => ({ slot, blocks: blocksOf(decoder, slot), start: i, tokens: [tokens[i]], wanted: 'last' })));
  await step(0);
  const started = performance.now();
  for (let i = 1; i <= ROUND; i++) {
    const failed = (await step(i)).find((result) => result instanceof Error);
    if (failed !== undefined) throw failed;
  }
  const ms = (performance.now() - started) / ROUND;
  for (let slot = 0; slot < batch; slot++) decoder.begin(slot, []);
  return ms;
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

/** @type {Record<string, { slots: number, time: (decoder: BatchDecoder, seed: number) => Promise<number> }>} */
const DECODING = {
  'overhead-warm-1': { slots: 1, time: (decoder, seed) => timeSteps(decoder, 1, seed) },
  'overhead-warm-16': { slots: 16, time: (decoder, seed) => timeSteps(decoder, 16, seed) },
  prefill: { slots: 1, time: timePrefill },
};

/** @type {import('../report.mjs').Area} */
export const area = {
  engine: OWN,
  engines: [OWN, PEER],
  cases: [...Object.keys(DECODING), 'first-token'],
  async measure({ engines, cases, rounds, say }) {
    /** @type {Measurement[]} */
    const measurements = [];
    const device = await openDevice();
    const decoding = Object.keys(DECODING).filter((name) => cases.includes(name));
    if (decoding.length > 0) measurements.push(...(await measureDecoding(device, decoding, engines, rounds, say)));
    if (cases.includes('first-token') && engines.includes(OWN)) measurements.push(await measureFirstToken(device, rounds));
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
  const model = createModel(device, { decoder: DECODER }, { seed: 1 });
  const set = fgramSet();
  const rows = await createStoreOf(path.join(SCRATCH, 'rows'), set);
  const fgramsOf = () => ({ matcher: set.matcher(), rows });
  for (const name of cases) {
    const { slots, time } = DECODING[name];
    const all = [
      { engine: OWN, decoder: batchDecoder(device, model, { slots, fgramsOf }), times: /** @type {number[]} */ ([]) },
      { engine: PEER, decoder: batchDecoder(device, model, { slots }), times: /** @type {number[]} */ ([]) },
    ].filter(({ engine }) => engines.includes(engine));
    for (const { decoder } of all) await time(decoder, 0);
    for (let round = 1; round <= rounds; round++) {
      // Who is first changes every round.
      for (const one of round % 2 === 0 ? all : [...all].reverse()) one.times.push(await time(one.decoder, round));
    }
    for (const { decoder } of all) decoder[Symbol.dispose]();
    const [ours, theirs] = [OWN, PEER].map((engine) => all.find((one) => one.engine === engine)?.times);
    // Rounds are compared in pairs, so that what the machine does meanwhile falls on both.
    const percent = ours && theirs && 100 * (median(ours.map((ms, i) => ms / theirs[i])) - 1);
    say(`  ${name}: ${all.map(({ engine, times }) => `${engine} ${median(times).toFixed(3)} ms`).join(', ')}`);
    for (const { engine, times } of all) {
      const compared = engine === OWN && percent !== undefined;
      const remarks = compared ? { facts: { percent }, note: `${percent >= 0 ? '+' : '−'}${Math.abs(percent).toFixed(1)}%` } : {};
      measurements.push({ case: name, engine, median: median(times), unit: 'ms', ...remarks });
    }
  }
  await rows.close();
  model[Symbol.dispose]();
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
