/** Training: the same GPT in other engines; steps of the trainer, with and without f-grams, against FLOPs and the peak of products; precompute. */
import { openDevice } from '@sconelm/tensor-webgpu';
import { measurePeak } from '../../../apps/train/dist/run/peak.js';
import { area as tensor } from '../tensor/suite.mjs';
import { inputsOf, SIZES } from './inputs.mjs';
import { measurePrecompute } from './precompute.mjs';
import { measureSteps } from './steps.mjs';

/** @typedef {import('../report.mjs').Measurement} Measurement */
/** @typedef {import('@sconelm/tensor-webgpu').Device} Device */

const OWN = 'scone';
const FORWARD = 'training-forward';
const PEERS = ['jax-js-webgpu', 'pytorch-cpu'];
const names = /** @type {(keyof typeof SIZES)[]} */ (Object.keys(SIZES));

/** @type {import('../report.mjs').Area} */
export const area = {
  engine: OWN,
  engines: [OWN, ...PEERS, FORWARD],
  cases: ['train-step', ...names.flatMap((size) => [`steps-${size}`, `precompute-${size}`])],
  async measure({ engines, cases, rounds, say }) {
    /** @type {Measurement[]} */
    const measurements = [];
    const compared = tensor.engines.filter((name) => engines.includes(name));
    if (cases.includes('train-step'))
      measurements.push(...(await tensor.measure({ engines: compared, cases: ['train-step'], rounds, say })).measurements);
    const device = await openDevice();
    const peak = await measurePeak(device);
    say(`products of 1,024 × 1,024 matrices: ${(peak / 1e9).toFixed(1)} GFLOP/s`);
    for (const size of names.filter((name) => cases.some((one) => one.endsWith(`-${name}`)))) {
      const inputs = await inputsOf(size);
      if (cases.includes(`steps-${size}`)) measurements.push(...(await stepsOf(device, inputs, { size, rounds, peak, say })));
      if (!cases.includes(`precompute-${size}`)) continue;
      const { rows, nodes, ratio } = await measurePrecompute(device, inputs, rounds);
      const name = `precompute-${size}`;
      say(`  ${name}: ${rows.toFixed(0)} rows/s, ${nodes.toFixed(0)} nodes/s in training: ${(100 * ratio).toFixed(0)}%`);
      measurements.push({ case: name, engine: OWN, median: rows, unit: 'rows/s', facts: { ratio } });
      if (engines.includes(FORWARD)) measurements.push({ case: name, engine: FORWARD, median: nodes, unit: 'rows/s' });
    }
    const adapter = device.info.description;
    device[Symbol.dispose]();
    return { adapter, measurements };
  },
};

/** @param {Device} device @param {Awaited<ReturnType<typeof inputsOf>>} inputs @param {{ size: string, rounds: number, peak: number, say: (line: string) => void }} options @returns {Promise<Measurement[]>} */
async function stepsOf(device, inputs, { size, rounds, peak, say }) {
  const found = await measureSteps(device, inputs, rounds);
  return found.map(({ form, tokens, flops, ...facts }) => {
    const share = flops / (facts.stepMs / 1000) / peak;
    const percent = (/** @type {number} */ x) => `${(100 * x).toFixed(1)}%`;
    const against = form === 'baseline' ? '' : `, ${facts.overFlops.toFixed(2)} × what FLOPs say`;
    const note = `${facts.stepMs.toFixed(1)} ms a step, ${percent(share)} of products’ peak${against}, inputs cost ${percent(facts.idle)}`;
    say(`  ${size}-${form}: ${note}`);
    return {
      case: `${size}-${form}`,
      engine: OWN,
      median: tokens / (facts.stepMs / 1000),
      unit: 'tokens/s',
      note,
      facts: { ...facts, share },
    };
  });
}
