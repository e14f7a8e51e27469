/** Reductions over axes. Their outputs lack the reduced axes; `keepDims` is a reshape on top. */
import { DTypeError } from '../../errors.js';
import { lowerReduce } from '../../kernels/reduce.js';
import { type Shape, stridesOf } from '../../shape.js';
import type { Tensor } from '../../tensor.js';
import { defineOp, type Op } from '../op.js';

export type ReduceAttributes = { readonly axes: readonly number[] };

/** The shape with 1 in place of the reduced axes. */
export function keptShape(shape: Shape, axes: readonly number[]): number[] {
  return shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent));
}

function defineReduce(
  name: 'sum' | 'max',
  start: number,
  combine: (a: number, b: number) => number,
  gradient: (dy: Tensor, x: Tensor, y: Tensor, axes: readonly number[]) => Tensor,
): Op<ReduceAttributes> {
  return defineOp<ReduceAttributes>({
    name,
    kind: 'compute',
    infer: ([x], { axes }) => {
      if (x.dtype === 'bool') throw new DTypeError(`${name}: operand is bool, expected a number dtype`);
      return [{ shape: x.shape.filter((_, axis) => !axes.includes(axis)), dtype: x.dtype }];
    },
    evaluate: ([x], [y], { inputs: [{ shape }] }, { axes }) => {
      const kept = keptShape(shape, axes);
      const strides = stridesOf(kept).map((stride, axis) => (axes.includes(axis) ? 0 : stride));
      const sums = new Float64Array(y.length).fill(start);
      const index = new Array<number>(shape.length).fill(0);
      let target = 0;
      for (let i = 0; i < x.length; i++) {
        sums[target] = combine(sums[target], x[i]);
        for (let axis = shape.length - 1; axis >= 0; axis--) {
          target += strides[axis];
          if (++index[axis] < shape[axis]) break;
          target -= strides[axis] * shape[axis];
          index[axis] = 0;
        }
      }
      y.set(sums);
    },
    gradient: ([dy], [x], { axes }, [y]) => [dy === undefined ? undefined : gradient(dy, x, y, axes)],
    lower: (context) => lowerReduce(name, context),
  });
}

const spreadBack = (y: Tensor, x: Tensor, axes: readonly number[]) => y.reshape(keptShape(x.shape, axes)).expand(x.shape);

export const sumOp = defineReduce(
  'sum',
  0,
  (a, b) => a + b,
  (dy, x, _y, axes) => spreadBack(dy, x, axes),
);

/** Where several elements are the maximum, each gets the gradient in equal parts. */
export const maxOp = defineReduce('max', Number.NEGATIVE_INFINITY, Math.max, (dy, x, y, axes) => {
  const hit = x.equal(spreadBack(y, x, axes)).where(spreadBack(dy, x, axes).mul(0).add(1), 0);
  return hit.mul(spreadBack(dy.div(hit.sum(axes)), x, axes));
});
