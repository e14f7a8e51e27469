/** Normalisation by the root mean square of the last axis. */
import { expectShape } from '../shape.js';
import { expectFloat, type Tensor } from '../tensor.js';

/**
 * y = x / √(mean(x²) + eps) · weight. [Zhang & Sennrich, 2019]
 * @param x [..., D] f32
 * @param weight [D]
 * @returns [..., D]
 * @throws {ShapeError} if weight is not [D]
 */
export function rmsNorm(x: Tensor, weight: Tensor, { eps = 1e-6 }: { readonly eps?: number } = {}): Tensor {
  expectShape('rmsNorm', { weight }, [x.shape[x.rank - 1]]);
  expectFloat('rmsNorm', { x, weight });
  // The mean is expanded first, so that all that follows it is one chain over x.
  const squares = x.square().sum(-1, { keepDims: true }).expand(x.shape);
  return x
    .mul(
      squares
        .mul(1 / x.shape[x.rank - 1])
        .add(eps)
        .rsqrt(),
    )
    .mul(weight);
}
