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
  return x.mul(x.square().mean(-1, { keepDims: true }).add(eps).rsqrt()).mul(weight);
}
