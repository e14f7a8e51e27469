/** The largest elements of rows. */
import { DTypeError, ShapeError } from '../errors.js';
import { defineOp, type NumericArray } from '../graph/op.js';
import { lowerTopK } from '../kernels/scan.js';
import { formatShape } from '../shape.js';
import { applyAll, iota, type Tensor, zeros } from '../tensor.js';

/**
 * The `k` largest of the last axis, largest first, of equals the first, and their places (i32).
 * @param x [..., N] f32
 * @returns values and places, [..., k]
 * @throws {ShapeError} if there are fewer than k
 */
export function topK(x: Tensor, k: number): { readonly values: Tensor; readonly places: Tensor } {
  const [values, places] = applyAll(topKOp, [x], { k });
  return { values, places };
}

function largest(x: NumericArray, start: number, length: number, k: number): number[] {
  const order = Array.from({ length }, (_, i) => i);
  return order.sort((a, b) => x[start + b] - x[start + a] || a - b).slice(0, k);
}

/** The `k` largest of the last axis, largest first, of equals the first, and their places (i32). */
export const topKOp = defineOp<{ k: number }>({
  name: 'topK',
  kind: 'compute',
  infer: ([x], { k }) => {
    if (x.dtype !== 'f32') throw new DTypeError(`topK: operand is ${x.dtype}, expected f32`);
    const length = x.shape.at(-1) ?? 0;
    if (x.shape.length === 0 || k < 1 || k > length) throw new ShapeError(`topK: ${k} of ${formatShape(x.shape)}, expected 1 .. ${length}`);
    const shape = [...x.shape.slice(0, -1), k];
    return [
      { shape, dtype: 'f32' },
      { shape, dtype: 'i32' },
    ];
  },
  evaluate: ([x], [values, places], { inputs }, { k }) => {
    const length = inputs[0].shape.at(-1) ?? 1;
    for (let row = 0; row < x.length / length; row++) {
      largest(x, row * length, length, k).forEach((place, j) => {
        values[row * k + j] = x[row * length + place];
        places[row * k + j] = place;
      });
    }
  },
  gradient: ([dy], [x], { k }, [, places]) => {
    if (dy === undefined) return [undefined];
    const lead = x.shape.slice(0, -1);
    const column = (tensor: Tensor, j: number) => tensor.slice([...lead.map(() => 0), j], [...lead, 1]);
    const parts = Array.from({ length: k }, (_, j) => iota(x.shape).equal(column(places, j)).where(column(dy, j), zeros([])));
    return [parts.reduce((sum, part) => sum.add(part))];
  },
  lower: lowerTopK,
});
