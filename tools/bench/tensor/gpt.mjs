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

/** @returns {Record<string, { shape: number[], data: Float32Array<ArrayBuffer> }>} */
export function initialParameters() {
  return Object.fromEntries(
    parameterShapes().map(([name, shape], i) => {
      const size = shape.reduce((a, b) => a * b, 1);
      const data = /norm\d?$/.test(name)
        ? new Float32Array(size).fill(1)
        : name.endsWith('b')
          ? new Float32Array(size)
          : values(size, 100 + i, 0.035);
      return [name, { shape, data }];
    }),
  );
}
