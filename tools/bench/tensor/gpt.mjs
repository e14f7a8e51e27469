/** The transformer of the cases `train-step` and `decode`: GPT-2's blocks, pre-norm, tied head, GELU in its tanh form. */
import { values } from './inputs.mjs';

export const GPT = { layers: 4, width: 256, heads: 4, context: 256, batch: 4, vocabulary: 8192, cached: 256 };
/** AdamW: no clipping, the same decay for all. */
export const ADAMW = { rate: 1e-3, beta1: 0.9, beta2: 0.95, eps: 1e-8, decay: 0.1 };

/** @returns {[name: string, shape: number[]][]} */
export function parameterShapes({ layers, width: d, context, vocabulary } = GPT) {
  /** @type {[string, number[]][]} */
  const shapes = [
    ['wte', [vocabulary, d]],
    ['wpe', [context + 1, d]],
  ];
  for (let l = 0; l < layers; l++) {
    shapes.push([`${l}.norm1`, [d]], [`${l}.norm1b`, [d]], [`${l}.qkv`, [d, 3 * d]], [`${l}.qkvb`, [3 * d]]);
    shapes.push([`${l}.proj`, [d, d]], [`${l}.projb`, [d]], [`${l}.norm2`, [d]], [`${l}.norm2b`, [d]]);
    shapes.push([`${l}.up`, [d, 4 * d]], [`${l}.upb`, [4 * d]], [`${l}.down`, [4 * d, d]], [`${l}.downb`, [d]]);
  }
  shapes.push(['norm', [d]], ['normb', [d]]);
  return shapes;
}

/** Which parameters are quantised, and whether they are stored [outputs, inputs]. @param {string} name @param {number[]} shape */
export const quantisedAs = (name, shape) => (shape.length === 1 || name === 'wpe' ? undefined : { byOutput: name === 'wte' });

/**
 * The values that quantised weights stand for: engines without such weights compute with them in f32, and must give the same results.
 * @param {Float32Array<ArrayBuffer>} data @param {number[]} shape @param {'int8' | 'int4'} weights @param {boolean} byOutput
 */
function rounded(data, [rows, columns], weights, byOutput) {
  const [outputs, inputs] = byOutput ? [rows, columns] : [columns, rows];
  const [group, divisor, lowest, highest] = weights === 'int8' ? [inputs, 127, -127, 127] : [32, -8, -8, 7];
  const at = (/** @type {number} */ n, /** @type {number} */ k) => (byOutput ? n * columns + k : k * columns + n);
  const halfEven = (/** @type {number} */ x) => x + 1.5 * 2 ** 52 - 1.5 * 2 ** 52;
  const result = new Float32Array(data.length);
  for (let n = 0; n < outputs; n++) {
    for (let start = 0; start < inputs; start += group) {
      let extreme = 0;
      for (let k = start; k < start + group; k++) if (Math.abs(data[at(n, k)]) > Math.abs(extreme)) extreme = data[at(n, k)];
      const scale = Math.fround((weights === 'int8' ? Math.abs(extreme) : extreme) / divisor);
      for (let k = start; k < start + group; k++)
        result[at(n, k)] = Math.max(lowest, Math.min(highest, halfEven(data[at(n, k)] / scale))) * scale;
    }
  }
  return result;
}

/** @param {'f32' | 'int8' | 'int4'} [weights] @returns {Record<string, { shape: number[], data: Float32Array<ArrayBuffer> }>} */
export function initialParameters(weights = 'f32') {
  return Object.fromEntries(
    parameterShapes().map(([name, shape], i) => {
      const size = shape.reduce((a, b) => a * b, 1);
      const data = /norm\d?$/.test(name)
        ? new Float32Array(size).fill(1)
        : name.endsWith('b')
          ? new Float32Array(size)
          : values(size, 100 + i, 0.035);
      const quantised = quantisedAs(name, shape);
      return [name, { shape, data: weights === 'f32' || !quantised ? data : rounded(data, shape, weights, quantised.byOutput) }];
    }),
  );
}
