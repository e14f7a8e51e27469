/** Row gather and its adjoint. An id below zero stands for no row: zeros forward, nothing backward. */
import { isFloat } from '../../dtype.js';
import { DTypeError, ShapeError } from '../../errors.js';
import { lowerSumOfRows } from '../../kernels/rows.js';
import { lowerScatterRows } from '../../kernels/scatter-rows.js';
import { formatShape, sizeOf } from '../../shape.js';
import { defineOp, type TensorType } from '../op.js';

function expectIds(op: string, ids: TensorType): void {
  if (ids.dtype !== 'i32') throw new DTypeError(`${op}: ids are ${ids.dtype}, expected i32`);
}

/** y[..., :] = table[ids[...], :]; table [V, D], ids [...] i32 below V. */
export const gatherRowsOp = defineOp<Readonly<Record<string, never>>>({
  name: 'gatherRows',
  kind: 'compute',
  infer: ([table, ids]) => {
    expectIds('gatherRows', ids);
    if (table.shape.length !== 2) throw new ShapeError(`gatherRows: table is ${formatShape(table.shape)}, expected [V, D]`);
    return [{ shape: [...ids.shape, table.shape[1]], dtype: table.dtype }];
  },
  evaluate: ([table, ids], [y], { inputs }) => {
    const width = inputs[0].shape[1];
    for (let i = 0; i < ids.length; i++) if (ids[i] >= 0) y.set(table.subarray(ids[i] * width, (ids[i] + 1) * width), i * width);
  },
  gradient: ([dy], [table, ids]) => [dy?.scatterRows(ids, table.shape[0])],
  maxEpilogueOperands: 5,
  lower: (context) => lowerSumOfRows(context, [{ kind: 'table' }]),
});

/** y[v, :] = Σ over positions with ids = v of dy, in the order of positions; dy [..., D], ids [...] i32, y [rows, D]. */
export const scatterRowsOp = defineOp<{ rows: number }>({
  name: 'scatterRows',
  kind: 'compute',
  infer: ([dy, ids], { rows }) => {
    expectIds('scatterRows', ids);
    if (!isFloat(dy.dtype)) throw new DTypeError(`scatterRows: values are ${dy.dtype}, expected f32 or f16`);
    const width = dy.shape.at(-1) ?? 0;
    if (sizeOf(ids.shape) * width !== sizeOf(dy.shape))
      throw new ShapeError(`scatterRows: values are ${formatShape(dy.shape)}, expected [...ids, D] with ids ${formatShape(ids.shape)}`);
    return [{ shape: [rows, width], dtype: dy.dtype }];
  },
  evaluate: ([dy, ids], [y], { outputs }) => {
    const width = outputs[0].shape[1];
    for (let i = 0; i < ids.length; i++) {
      if (ids[i] < 0) continue;
      for (let d = 0; d < width; d++) y[ids[i] * width + d] += dy[i * width + d];
    }
  },
  gradient: ([dy], [, ids]) => [dy?.gatherRows(ids)],
  lower: lowerScatterRows,
});
