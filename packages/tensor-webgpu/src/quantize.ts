/**
 * Matrices of small integers with scales: W [N, K] as rows of outputs, for products x · Wᵀ and for rows gathered by id.
 *   int8: one scale per row                  w ≈ q · scale, scale = max|w| / 127, q in −127..127
 *   int4: one scale per 32 values of a row   w ≈ q · scale, scale = m / −8, q in −8..7, m the value of largest magnitude [llama.cpp, Q4_0]
 * A 32-bit word holds 4 or 8 neighbours along K, the first in the lowest bits, in two's complement. Words of four rows lie side by side, so that
 * one vector load brings the same positions of four outputs. Rows are padded to whole groups of 32 values and to a multiple of four, with zeros.
 */
import { GraphError, ShapeError } from './errors.js';
import { formatShape, type Shape } from './shape.js';

export type QuantizedFormat = 'int8' | 'int4';

/** Values along K that share a scale in int4; rows are padded to whole groups. */
export const GROUP = 32;
export const VALUES_PER_WORD: Readonly<Record<QuantizedFormat, 4 | 8>> = { int8: 4, int4: 8 };

/** Shapes of the words and scales of a matrix [N, K]. */
export function quantizedShapes(
  [N, K]: Shape,
  format: QuantizedFormat,
): { readonly words: readonly [number, number, 4]; readonly scales: readonly [number, number, 4] } {
  const [quads, groups] = [Math.ceil(N / 4), Math.ceil(K / GROUP)];
  return { words: [quads, (groups * GROUP) / VALUES_PER_WORD[format], 4], scales: [quads, format === 'int8' ? 1 : groups, 4] };
}

/**
 * Quantises a matrix [N, K].
 * @param values [N, K], row-major; [K, N] where `transposed`
 * @throws {ShapeError} if values are not as many as the shape has @throws {GraphError} NUMBER: a value is not finite
 */
export function quantize(
  values: Float32Array,
  shape: readonly [N: number, K: number],
  format: QuantizedFormat,
  { transposed = false }: { readonly transposed?: boolean } = {},
): { readonly words: Uint32Array<ArrayBuffer>; readonly scales: Float32Array<ArrayBuffer> } {
  const [N, K] = shape;
  if (values.length !== N * K) throw new ShapeError(`quantize: ${values.length} values for ${formatShape(shape)}`);
  const types = quantizedShapes(shape, format);
  const [rowWords, rowScales] = [types.words[1], types.scales[1]];
  const words = new Uint32Array(types.words[0] * rowWords * 4);
  const scales = new Float32Array(types.scales[0] * rowScales * 4);
  const perWord = VALUES_PER_WORD[format];
  const [bits, lowest, highest] = format === 'int8' ? [8, -127, 127] : [4, -8, 7];
  const mask = 2 ** bits - 1;
  const [groupSize, divisor] = format === 'int8' ? [K, 127] : [GROUP, -8];
  const [rowStride, stride] = transposed ? [1, N] : [K, 1];
  for (let n = 0; n < N; n++) {
    const [quad, lane] = [n >> 2, n & 3];
    for (let group = 0; group < rowScales; group++) {
      const [start, end] = [group * groupSize, Math.min(K, (group + 1) * groupSize)];
      let extreme = 0;
      for (let k = start; k < end; k++) {
        const value = values[n * rowStride + k * stride];
        if (!Number.isFinite(value)) throw new GraphError(`quantize: the value at [${n}, ${k}] is ${value}`, 'Give finite values.');
        if (Math.abs(value) > Math.abs(extreme)) extreme = value;
      }
      const scale = Math.fround((format === 'int8' ? Math.abs(extreme) : extreme) / divisor);
      scales[(quad * rowScales + group) * 4 + lane] = scale;
      if (scale === 0) continue;
      for (let k = start; k < end; k++) {
        const q = Math.max(lowest, Math.min(highest, roundHalfEven(values[n * rowStride + k * stride] / scale)));
        words[(quad * rowWords + Math.floor(k / perWord)) * 4 + lane] |= (q & mask) << (bits * (k % perWord));
      }
    }
  }
  return { words, scales };
}

/** Adding and taking away 1.5 · 2^52 rounds a double of small magnitude to the nearest integer, ties to even. */
const ROUND = 1.5 * 2 ** 52;
const roundHalfEven = (value: number) => value + ROUND - ROUND;

/** The value at [n, k] of a matrix whose words and scales lie as {@link quantizedShapes} says. */
export function quantizedValue(
  {
    words,
    scales,
    K,
    format,
  }: { readonly words: ArrayLike<number>; readonly scales: ArrayLike<number>; readonly K: number; readonly format: QuantizedFormat },
  n: number,
  k: number,
): number {
  const groups = Math.ceil(K / GROUP);
  const perWord = VALUES_PER_WORD[format];
  const bits = 32 / perWord;
  const [quad, lane] = [n >> 2, n & 3];
  const word = words[(quad * ((groups * GROUP) / perWord) + Math.floor(k / perWord)) * 4 + lane];
  const q = (word << (32 - bits * ((k % perWord) + 1))) >> (32 - bits);
  const scale = format === 'int8' ? scales[quad * 4 + lane] : scales[(quad * groups + Math.floor(k / GROUP)) * 4 + lane];
  return Math.fround(q * scale);
}
