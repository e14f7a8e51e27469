/** Clipping of gradients by their global norm, for optimisers that do not clip themselves. */
import type { Tensor } from '../tensor.js';

/** Gradients times min(1, maxNorm / (norm + 1e-6)), and the norm √ Σ g² over all of them. [Pascanu et al., 2013] */
export function clipByGlobalNorm(gradients: readonly Tensor[], maxNorm: number): { readonly gradients: Tensor[]; readonly norm: Tensor } {
  const norm = gradients
    .map((gradient) => gradient.square().sum())
    .reduce((sum, square) => sum.add(square))
    .sqrt();
  const factor = norm.add(1e-6).pow(-1).mul(maxNorm).minimum(1);
  return { gradients: gradients.map((gradient) => gradient.mul(factor)), norm };
}
