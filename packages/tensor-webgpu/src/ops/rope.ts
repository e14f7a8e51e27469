/** Rotary position embeddings. */
import { ShapeError } from '../errors.js';
import { formatShape } from '../shape.js';
import { concat, expectDType, expectFloat, iota, type Tensor } from '../tensor.js';

/**
 * Rotates the pairs (i, i + d/2) of each head by position · base^(−2i/d). [Su et al., 2021; halves as in GPT-NeoX]
 * @param x [..., T, d] f32, d even
 * @param positions [T] i32
 * @returns [..., T, d]
 * @throws {ShapeError} if d is odd or positions are not [T]
 */
export function rope(x: Tensor, positions: Tensor, { base = 10_000 }: { readonly base?: number } = {}): Tensor {
  const [T, d] = x.shape.slice(-2);
  if (x.rank < 2 || d % 2 !== 0 || positions.rank !== 1 || positions.shape[0] !== T)
    throw new ShapeError(
      `rope: x is ${formatShape(x.shape)} and positions ${formatShape(positions.shape)}, expected [.., T, even d] and [T]`,
    );
  expectFloat('rope', { x });
  expectDType('rope', { positions }, 'i32');
  const half = d / 2;
  const frequencies = iota([half])
    .cast('f32')
    .mul((-2 * Math.log(base)) / d)
    .exp();
  const angles = positions.cast('f32').reshape([T, 1]).mul(frequencies);
  const [cos, sin] = [angles.cos().cast(x.dtype), angles.sin().cast(x.dtype)];
  const [a, b] = x.split([half, half], -1);
  return concat([a.mul(cos).sub(b.mul(sin)), b.mul(cos).add(a.mul(sin))], x.rank - 1);
}
