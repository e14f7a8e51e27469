/** Tensor engines on the same cases, inputs and adapter. */
import { existsSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { compareEngines } from '../compare.mjs';
import { CASES } from './cases.mjs';

const file = (/** @type {string} */ name) => fileURLToPath(new URL(name, import.meta.url));
const node = (/** @type {string} */ name, /** @type {string[]} */ ...args) => [process.execPath, '--no-warnings', file(name), ...args];

const ENGINES = [
  { name: 'scone', command: node('scone.mjs') },
  { name: 'jax-js-webgpu', command: node('../peers/jax.mjs', 'webgpu') },
  { name: 'tfjs-webgpu', command: node('../peers/tfjs.mjs') },
  { name: 'jax-js-wasm', command: node('../peers/jax.mjs', 'wasm') },
  { name: 'onnxruntime-cpu', command: node('../peers/onnxruntime.mjs') },
  { name: 'pytorch-cpu', command: [existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3', file('../peers/pytorch.py')] },
];

/** @type {import('../report.mjs').Area} */
export const area = {
  engine: 'scone',
  engines: ENGINES.map(({ name }) => name),
  cases: CASES.map(({ name }) => name),
  async measure({ engines, cases, rounds, say }) {
    const { described, measurements } = await compareEngines(
      { engines: ENGINES.filter(({ name }) => engines.includes(name)), cases: CASES.filter(({ name }) => cases.includes(name)), rounds },
      say,
    );
    return { adapter: described.get('scone'), measurements };
  },
};
