/** Softmax over the last axis, as one kernel. */
import { ShapeError } from '../errors.js';
import { defineOp } from '../graph/op.js';
import { lowerSoftmax } from '../kernels/softmax.js';
import { formatShape } from '../shape.js';
import { apply, expectFloat, type Tensor } from '../tensor.js';

/**
 * Softmax over the last axis, shifted by the row's maximum.
 * @param x [..., N] f32 or f16
 * @returns [..., N]
 * @throws {ShapeError} for a scalar
 */
export function softmax(x: Tensor): Tensor {
  expectFloat('softmax', { x });
  return apply(softmaxOp, [x], {});
}

export const softmaxOp = defineOp<Readonly<Record<string, never>>>({
  name: 'softmax',
  kind: 'compute',
  infer: ([x]) => {
    if (x.shape.length === 0) throw new ShapeError(`softmax: ${formatShape(x.shape)} has no axis`);
    return [x];
  },
  define: ([x]) => {
    const e = x.sub(x.max(-1, { keepDims: true })).exp();
    return [e.div(e.sum(-1, { keepDims: true }))];
  },
  // dx = y · (dy − Σ dy · y)
  gradient: ([dy], _, __, [y]) => [dy?.sub(dy.mul(y).sum(-1, { keepDims: true })).mul(y)],
  lower: lowerSoftmax,
});
