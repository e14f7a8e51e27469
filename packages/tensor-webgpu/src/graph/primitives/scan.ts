/** Running sums along an axis. */
import { DTypeError } from '../../errors.js';
import { lowerCumulativeSum } from '../../kernels/scan.js';
import { around } from '../../shape.js';
import { defineOp } from '../op.js';

/** y[i] = Σ of x up to and including i along `axis`; from i on where `reverse`. */
export const cumulativeSumOp = defineOp<{ axis: number; reverse: boolean }>({
  name: 'cumulativeSum',
  kind: 'compute',
  infer: ([x]) => {
    if (x.dtype === 'bool') throw new DTypeError('cumulativeSum: operand is bool, expected a number dtype');
    return [x];
  },
  evaluate: ([x], [y], { inputs }, { axis, reverse }) => {
    const [outer, length, inner] = around(inputs[0].shape, axis);
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < inner; i++) {
        let sum = 0;
        for (let k = 0; k < length; k++) {
          const at = (o * length + (reverse ? length - 1 - k : k)) * inner + i;
          sum += x[at];
          y[at] = sum;
        }
      }
    }
  },
  gradient: ([dy], _, { axis, reverse }) => [dy?.cumulativeSum(axis, { reverse: !reverse })],
  lower: lowerCumulativeSum,
});
