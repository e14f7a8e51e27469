/**
 * Rotary positions. Angles are computed here, in double precision, and given to programs as cosines and sines: WGSL promises little about
 * cos(x) beyond π, and the angle of position p is p.
 */
import { type HostTensor, hostTensor, iota, type Tensor } from '@sconelm/tensor-webgpu';
import type { DecoderConfig } from './config.js';

type Rotary = NonNullable<DecoderConfig['rotary']>;

/** Cosines and sines, [T, headDim / 2] each. */
export interface Rotation {
  readonly cos: Tensor;
  readonly sin: Tensor;
}

/** Angle per position of each pair: base^(−2i / headDim), stretched where the model was trained so. @returns [headDim / 2] */
export function rotaryFrequencies({ base, scaling }: Rotary, headDim: number): Float64Array {
  const frequencies = Float64Array.from({ length: headDim / 2 }, (_, i) => base ** ((-2 * i) / headDim));
  if (scaling === undefined) return frequencies;
  if (scaling.kind === 'linear') return frequencies.map((frequency) => frequency / scaling.factor);
  // Waves that fit the original context often stay, those that do not are stretched, those between are blended.
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalContext } = scaling;
  return frequencies.map((frequency) => {
    const turns = (originalContext * frequency) / (2 * Math.PI);
    const kept = Math.min(1, Math.max(0, (turns - low) / (high - low)));
    return kept * frequency + ((1 - kept) * frequency) / factor;
  });
}

/** The rotation of positions as inputs of a program, [positions.length, headDim / 2] each. */
export function rotationInputs(rotary: Rotary, headDim: number, positions: ArrayLike<number>): { cos: HostTensor; sin: HostTensor } {
  const frequencies = rotaryFrequencies(rotary, headDim);
  const half = frequencies.length;
  const count = positions.length;
  const angle = (i: number) => positions[Math.floor(i / half)] * frequencies[i % half];
  const shape = [count, half];
  return {
    cos: hostTensor(
      Float32Array.from({ length: count * half }, (_, i) => Math.cos(angle(i))),
      shape,
    ),
    sin: hostTensor(
      Float32Array.from({ length: count * half }, (_, i) => Math.sin(angle(i))),
      shape,
    ),
  };
}

/**
 * Rotates the pairs (i, i + d/2) of the first `count` heads: (a, b) becomes (a cos − b sin, b cos + a sin).
 * @param x [B · T, H, d]; @param rotation of T positions
 * @returns the same shape
 */
export function rotateHeads(x: Tensor, count: number, { cos, sin }: Rotation): Tensor {
  const [N, H] = x.shape;
  const [T, half] = cos.shape;
  // Both halves, and heads that stay, are one chain of elementwise ops: a dispatch, where joining them would be several.
  const pairs = x.reshape([N / T, T, H, 2, half]);
  const [a, b] = pairs.split([1, 1], 3).map((one) => one.expand(pairs.shape));
  const [c, s] = [cos.reshape([T, 1, 1, half]), sin.reshape([T, 1, 1, half])];
  const partner = iota([2, 1], 0).equal(0).where(b.neg(), a);
  const rotated = pairs.mul(c).add(partner.mul(s));
  return iota([H, 1, 1], 0).less(count).where(rotated, pairs).reshape(x.shape);
}
