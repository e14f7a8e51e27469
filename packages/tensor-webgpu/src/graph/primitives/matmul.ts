/** Matrix product over the last two axes, either operand stored transposed. Batch axes are equal; broadcasting them is the builder's work. */
import { isFloat } from '../../dtype.js';
import { DTypeError, ShapeError } from '../../errors.js';
import { lowerMatmul, productTakesNormalized } from '../../kernels/matmul/index.js';
import { formatShape, sameShape, sizeOf } from '../../shape.js';
import type { Tensor } from '../../tensor.js';
import { defineOp } from '../op.js';

export type MatmulAttributes = { readonly transposeA: boolean; readonly transposeB: boolean };

export const matmulOp = defineOp<MatmulAttributes>({
  name: 'matmul',
  kind: 'compute',
  infer: ([a, b], { transposeA, transposeB }) => {
    if (!isFloat(a.dtype) || a.dtype !== b.dtype)
      throw new DTypeError(`matmul: operands are ${a.dtype} and ${b.dtype}, expected both f32 or both f16`);
    const rank = a.shape.length;
    const [m, kA] = transposeA ? [a.shape[rank - 1], a.shape[rank - 2]] : [a.shape[rank - 2], a.shape[rank - 1]];
    const [kB, n] = transposeB ? [b.shape[rank - 1], b.shape[rank - 2]] : [b.shape[rank - 2], b.shape[rank - 1]];
    const fits = rank >= 2 && b.shape.length === rank && kA === kB && sameShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
    if (!fits) {
      const text = (shape: readonly number[], transposed: boolean) => formatShape(shape) + (transposed ? ' transposed' : '');
      throw new ShapeError(`matmul: ${text(a.shape, transposeA)} and ${text(b.shape, transposeB)} do not fit`);
    }
    return [{ shape: [...a.shape.slice(0, -2), m, n], dtype: a.dtype }];
  },
  evaluate: ([a, b], [y], { inputs, outputs }, { transposeA, transposeB }) => {
    const [m, n] = outputs[0].shape.slice(-2);
    const k = inputs[0].shape.at(transposeA ? -2 : -1) ?? 0;
    const batches = sizeOf(outputs[0].shape.slice(0, -2));
    const row = new Float64Array(n);
    for (let batch = 0; batch < batches; batch++) {
      const [a0, b0, y0] = [batch * m * k, batch * k * n, batch * m * n];
      for (let i = 0; i < m; i++) {
        row.fill(0);
        for (let p = 0; p < k; p++) {
          const factor = a[a0 + (transposeA ? p * m + i : i * k + p)];
          for (let j = 0; j < n; j++) row[j] += factor * b[b0 + (transposeB ? j * k + p : p * n + j)];
        }
        y.set(row, y0 + i * n);
      }
    }
  },
  gradient: ([dy], [a, b], { transposeA, transposeB }) => {
    if (dy === undefined) return [];
    const product = (x: Tensor, y: Tensor, tx: boolean, ty: boolean) => x.matmul(y, { transposeA: tx, transposeB: ty });
    const da = transposeA ? product(b, dy, transposeB, true) : product(dy, b, false, !transposeB);
    const db = transposeB ? product(dy, a, true, transposeA) : product(a, dy, !transposeA, false);
    return [da, db];
  },
  flops: ([a], [y], { transposeA }) => 2 * sizeOf(y.shape) * (a.shape.at(transposeA ? -2 : -1) ?? 0),
  maxEpilogueOperands: 5,
  takesNormalized: productTakesNormalized,
  lower: lowerMatmul,
});
