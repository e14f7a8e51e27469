/** Rows of a whole f-gram set a second, against the nodes a second of the f-gram model's forward pass in training. */
import { batchForest, createModel, fgramRows, forestInputs, precompute } from '@sconelm/fgram-model';
import { median } from './steps.mjs';

/** @typedef {import('@sconelm/tensor-webgpu').Device} Device */
/** @typedef {Awaited<ReturnType<typeof import('./inputs.mjs').inputsOf>>} Inputs */

/** Training batches of a round. */
const BATCHES = 6;
/** F-grams of a round, the most frequent: a set of its own. */
const FGRAMS = 16_000;

/** @param {Device} device @param {Inputs} inputs @param {number} rounds @returns {Promise<{ rows: number, nodes: number, ratio: number }>} a second; the ratio is of rounds in pairs */
export async function measurePrecompute(device, { decoder, fgram, training, set, windows }, rounds) {
  const model = createModel(device, { decoder, fgram }, { seed: 1 });
  const source = { size: Math.min(FGRAMS, set.size), tokensOf: (/** @type {number} */ id) => set.tokensOf(id) };
  const all = windows();
  const forests = Array.from({ length: BATCHES }, (_, i) => {
    const { tokens, lengths } = all.batch(i, training.batch);
    return batchForest(tokens, lengths, decoder.contextLength, fgram.maxLength);
  });
  const calls = forests.map((forest) => forestInputs(forest, fgram));
  const nodes = forests.reduce((sum, forest) => sum + forest.nodes, 0);
  // One value is read: reading all rows is no part of a training step.
  const program = device.compile((/** @type {import('@sconelm/fgram-model').ForestTensors} */ x) => ({
    outputs: { one: fgramRows(x, model.parameters, fgram).sum() },
  }));
  /** @type {number[]} */
  const forward = [];
  /** @type {number[]} */
  const rows = [];
  for (let round = 0; round <= rounds; round++) {
    const started = performance.now();
    for (const call of calls.slice(0, -1)) program.run(call);
    await program.run(calls[BATCHES - 1]).one.data();
    const perNode = (performance.now() - started) / nodes;
    // From the first rows on: a set of millions compiles once.
    /** @type {{ done: number, at: number }[]} */
    const seen = [];
    const onProgress = (/** @type {number} */ done) => void seen.push({ done, at: performance.now() });
    await precompute(device, source, model, fgram, { write: async () => {} }, { onProgress });
    const [first, last] = [seen[0], seen[seen.length - 1]];
    const perRow = (last.at - first.at) / (last.done - first.done);
    if (round === 0) continue; // compiles
    forward.push(perNode);
    rows.push(perRow);
  }
  program[Symbol.dispose]();
  model[Symbol.dispose]();
  return { rows: 1000 / median(rows), nodes: 1000 / median(forward), ratio: median(rows.map((ms, i) => forward[i] / ms)) };
}
