/**
 * Counter-based random numbers: a function of a key and the element's place, so that the same key gives the same numbers on every device and in
 * every order. Give a program a new key at each call, or fold the step into one.
 */
import { ShapeError } from '../errors.js';
import { randomBitsOp } from '../graph/primitives/elementwise.js';
import { formatShape, type Shape, sizeOf } from '../shape.js';
import { apply, concat, expectDType, fill, iota, type Tensor } from '../tensor.js';

function words(key: Tensor): [Tensor, Tensor] {
  expectDType('random', { key }, 'u32');
  if (key.rank !== 1 || key.shape[0] !== 2) throw new ShapeError(`random: key is ${formatShape(key.shape)}, expected [2]`);
  const [a, b] = key.split([1, 1]);
  return [a, b];
}

/**
 * 32 random bits per element. [Threefry-2x32-20, Salmon et al., 2011]
 * @param key [2] u32
 * @returns u32 of `shape`
 */
export function randomBits(shape: Shape, key: Tensor): Tensor {
  const [a, b] = words(key);
  const flat = [sizeOf(shape)];
  return apply(randomBitsOp, [iota(flat).cast('u32'), a.expand(flat), b.expand(flat)], {}).reshape(shape);
}

/** A key for the purpose `number`, independent of the others'. */
export function foldIn(key: Tensor, number: number | Tensor): Tensor {
  const [a, b] = words(key);
  const counter = typeof number === 'number' ? fill([1], number, 'u32') : number.cast('u32').reshape([1]);
  const word = (x: Tensor, y: Tensor) => apply(randomBitsOp, [counter, x, y], {});
  return concat([word(a, b), word(b, a)]);
}

/** Uniform in [0, 1), multiples of 2⁻²⁴. */
export function randomUniform(shape: Shape, key: Tensor): Tensor {
  // The upper 24 bits: division by a power of two and rounding down are exact enough, as f32 holds 24 bits.
  return randomBits(shape, key)
    .div(256)
    .cast('f32')
    .mul(2 ** -24);
}

/** Standard normal, by the Box–Muller transform. */
export function randomNormal(shape: Shape, key: Tensor): Tensor {
  const radius = randomUniform(shape, foldIn(key, 0)).neg().add(1).log().mul(-2).sqrt();
  return radius.mul(
    randomUniform(shape, foldIn(key, 1))
      .mul(2 * Math.PI)
      .cos(),
  );
}

/**
 * Each element with probability `rate` zero, else divided by 1 − rate. [Srivastava et al., 2014]
 * @param key [2] u32
 */
export function dropout(x: Tensor, rate: number, key: Tensor): Tensor {
  if (!(rate >= 0 && rate < 1))
    throw new ShapeError(`dropout: rate is ${rate}, expected 0 .. below 1`, 'Give the share of elements to drop.');
  if (rate === 0) return x;
  return randomUniform(x.shape, key)
    .less(rate)
    .where(0, x.mul(1 / (1 - rate)));
}
