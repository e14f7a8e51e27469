/** What a decoded token costs in JavaScript, by the samples of V8's profiler: matching, reading, encoding, sampling and the event loop's callbacks. */
import { Session } from 'node:inspector/promises';
import { createModel } from '@sconelm/fgram-model';
import { batchDecoder } from '../../../apps/infer/dist/engine/batch-decoder.js';
import { Engine } from '../../../apps/infer/dist/engine/engine.js';
import { createStoreOf, fgramSet, SMALL, tokenStream } from './model.mjs';

const INTERVAL_US = 50;
const PROMPT = 8;
const TOKENS = SMALL.contextLength - PROMPT;
const WARM_UP = 3;

/** @typedef {import('node:inspector').Profiler.ProfileNode['callFrame']} Frame */

/** Where a sample's time went. @param {Frame} frame */
function kindOf({ functionName, url }) {
  // The loop that sleeps while the adapter works.
  if (functionName === '(idle)' || functionName === 'wait' || (functionName === 'turn' && url.endsWith('device/wait.js'))) return 'waiting';
  // Outside of JavaScript: the event loop's own code, and calls into WebGPU.
  if (functionName === '(program)' || (url === '' && !functionName.startsWith('('))) return 'native';
  return 'javascript';
}

/**
 * @param {import('@sconelm/tensor-webgpu').Device} device @param {string} engineName @param {string} directory @param {number} rounds
 * @returns {Promise<import('../report.mjs').Measurement>}
 */
export async function measureJavaScript(device, engineName, directory, rounds) {
  const set = fgramSet();
  const model = createModel(device, { decoder: SMALL }, { seed: 1 });
  const rows = await createStoreOf(directory, set, SMALL.width);
  const decoder = batchDecoder(device, model, { slots: 1, fgramsOf: () => ({ matcher: set.matcher(), rows }) });
  const engine = new Engine(decoder);
  const generate = async (/** @type {number} */ seed) => {
    let tokens = 0;
    const request = { prompt: tokenStream(PROMPT, seed), maxTokens: TOKENS, sampling: { temperature: 1, seed }, stopTokens: new Set() };
    for await (const event of engine.generate({ ...request, owner: String(seed) })) if (event.kind === 'token') tokens += 1;
    return tokens;
  };
  for (let seed = 0; seed < WARM_UP; seed++) await generate(seed);
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: INTERVAL_US });
  await session.post('Profiler.start');
  let tokens = 0;
  for (let round = 0; round < rounds; round++) tokens += await generate(WARM_UP + round);
  const { profile } = await session.post('Profiler.stop');
  session.disconnect();
  const { nodes, samples = [], timeDeltas = [] } = profile;
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  /** @type {Record<string, number>} ms a token */
  const spent = { javascript: 0, native: 0, waiting: 0 };
  samples.forEach((id, i) => {
    const frame = frames.get(id);
    // A sample stands for the time until the next one.
    if (frame !== undefined) spent[kindOf(frame)] += (timeDeltas[i + 1] ?? 0) / 1000 / tokens;
  });
  decoder[Symbol.dispose]();
  await rows.close();
  model[Symbol.dispose]();
  const [native, waiting] = [spent.native, spent.waiting].map((ms) => ms.toFixed(2));
  return {
    case: 'javascript-per-token',
    engine: engineName,
    median: spent.javascript,
    unit: 'ms',
    facts: { ...spent, tokens, samples: samples.length },
    note: `besides, in native code ${native} ms, waiting ${waiting} ms; ${tokens} tokens`,
  };
}
