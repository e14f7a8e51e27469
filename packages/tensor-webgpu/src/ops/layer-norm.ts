/** Layer normalisation over the last axis, and its backward pass as one op, so that both run as one kernel per row. */
import { defineOp } from '../graph/op.js';
import { lowerLayerNorm, lowerLayerNormGrad } from '../kernels/layer-norm.js';
import { expectShape } from '../shape.js';
import { apply, applyAll, expectFloat, type Tensor } from '../tensor.js';

type LayerNormAttributes = { readonly eps: number };

/**
 * y = (x − mean(x)) / √(var(x) + eps) · weight + bias over the last axis, with the biased variance. [Ba et al., 2016]
 * @param x [..., D] f32
 * @param weight [D]
 * @param bias [D]
 * @returns [..., D]
 * @throws {ShapeError} if weight or bias is not [D]
 */
export function layerNorm(x: Tensor, weight: Tensor, bias: Tensor, { eps = 1e-5 }: Partial<LayerNormAttributes> = {}): Tensor {
  expectShape('layerNorm', { weight, bias }, [x.shape[x.rank - 1]]);
  expectFloat('layerNorm', { x, weight, bias });
  return apply(layerNormOp, [x, weight, bias], { eps });
}

/** The normalised rows and 1 / √(var + eps), both in x's shape rules. */
function normalize(x: Tensor, eps: number): { normalized: Tensor; scale: Tensor } {
  const centered = x.sub(x.mean(-1, { keepDims: true }));
  const scale = centered.square().mean(-1, { keepDims: true }).add(eps).rsqrt();
  return { normalized: centered.mul(scale), scale };
}

export const layerNormOp = defineOp<LayerNormAttributes>({
  name: 'layerNorm',
  kind: 'compute',
  infer: ([x]) => [x],
  define: ([x, weight, bias], { eps }) => [normalize(x, eps).normalized.mul(weight).add(bias)],
  rowNorm: 'layer',
  gradient: ([dy], [x, weight], { eps }) => (dy === undefined ? [] : applyAll(layerNormGradOp, [dy, x, weight], { eps })),
  lower: lowerLayerNorm,
});

// With n the normalised row, r its scale and g = dy · weight:
//   dx = r · (g − mean(g) − n · mean(g · n));   dweight = Σ rows dy · n;   dbias = Σ rows dy
export const layerNormGradOp = defineOp<LayerNormAttributes>({
  name: 'layerNormGrad',
  kind: 'compute',
  infer: ([, x, weight]) => [x, weight, weight],
  define: ([dy, x, weight], { eps }) => {
    const { normalized, scale } = normalize(x, eps);
    const g = dy.mul(weight);
    const dx = g
      .sub(g.mean(-1, { keepDims: true }))
      .sub(normalized.mul(g.mul(normalized).mean(-1, { keepDims: true })))
      .mul(scale);
    return [dx, dy.mul(normalized).sumTo(weight.shape), dy.sumTo(weight.shape)];
  },
  maxEpilogueOperands: 3,
  lower: lowerLayerNormGrad,
});
