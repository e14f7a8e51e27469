/** Normalisation by the root mean square of the last axis. */
import { defineOp } from '../graph/op.js';
import { lowerRmsNorm } from '../kernels/rms-norm.js';
import { expectShape } from '../shape.js';
import { apply, expectFloat, type Tensor } from '../tensor.js';

type RmsNormAttributes = { readonly eps: number };

/**
 * y = x / √(mean(x²) + eps) · weight. [Zhang & Sennrich, 2019]
 * @param x [..., D] f32
 * @param weight [D]
 * @returns [..., D]
 * @throws {ShapeError} if weight is not [D]
 */
export function rmsNorm(x: Tensor, weight: Tensor, { eps = 1e-6 }: Partial<RmsNormAttributes> = {}): Tensor {
  expectShape('rmsNorm', { weight }, [x.shape[x.rank - 1]]);
  expectFloat('rmsNorm', { x, weight });
  return apply(rmsNormOp, [x, weight], { eps });
}

/** Of every row, expanded to x's shape, so that what follows it is one chain over x. */
const inverseRms = (x: Tensor, eps: number) =>
  x
    .square()
    .sum(-1, { keepDims: true })
    .expand(x.shape)
    .mul(1 / x.shape[x.rank - 1])
    .add(eps)
    .rsqrt();

// With r = 1 / √(mean(x²) + eps) and g = dy · weight:   dx = r · (g − x · r² · mean(g · x));   dweight = Σ rows dy · x · r
export const rmsNormOp = defineOp<RmsNormAttributes>({
  name: 'rmsNorm',
  kind: 'compute',
  infer: ([x]) => [x],
  define: ([x, weight], { eps }) => [x.mul(inverseRms(x, eps)).mul(weight)],
  rowNorm: 'rms',
  gradient: ([dy], [x, weight], { eps }) => {
    if (dy === undefined) return [];
    const r = inverseRms(x, eps);
    const g = dy.mul(weight);
    const along = g.mul(x).mean(-1, { keepDims: true });
    return [g.sub(x.mul(r.square()).mul(along)).mul(r), dy.mul(x).mul(r).sumTo(weight.shape)];
  },
  lower: lowerRmsNorm,
});
