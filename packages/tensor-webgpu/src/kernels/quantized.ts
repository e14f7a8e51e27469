/** Words of small integers with scales (see `quantize.ts`) as kernels read them: in vectors of four outputs, or one by one. */
import { GROUP, type QuantizedFormat, VALUES_PER_WORD } from '../quantize.js';

const bitsOf = (format: QuantizedFormat) => 32 / VALUES_PER_WORD[format];

/** Vectors of words per row of four outputs. K is an expression. */
export const rowWords = (format: QuantizedFormat, K: string) =>
  `((${K} + ${GROUP - 1}u) / ${GROUP}u * ${GROUP / VALUES_PER_WORD[format]}u)`;

/** Vectors of scales per row of four outputs. */
const rowScales = (format: QuantizedFormat, K: string) => (format === 'int8' ? '1u' : `((${K} + ${GROUP - 1}u) / ${GROUP}u)`);

/** The vector of scales of four outputs at position k. */
export const scaleIndex = (format: QuantizedFormat, quad: string, k: string, K: string) =>
  format === 'int8' ? quad : `${quad} * ${rowScales(format, K)} + (${k}) / ${GROUP}u`;

/** Value `index` of each word of a vector, four outputs at the same position along K, as vec4f without their scale. */
export function unpackOutputs(format: QuantizedFormat, word: string, index: number): string {
  const bits = bitsOf(format);
  const left = 32 - bits * (index + 1);
  const signed = `bitcast<vec4i>(${word})`;
  return `vec4f(${left === 0 ? signed : `(${signed} << vec4u(${left}u))`} >> vec4u(${32 - bits}u))`;
}

/** `weight{suffix}(n, k)`: one value, of bindings `words{suffix}: u32` and `scales{suffix}: f32`; K is an expression. */
export const weightFunction = (format: QuantizedFormat, K: string, suffix = '') => `
fn weight${suffix}(n: u32, k: u32) -> f32 {
  let word = words${suffix}[((n / 4u) * ${rowWords(format, K)} + k / ${VALUES_PER_WORD[format]}u) * 4u + n % 4u];
  let scale = scales${suffix}[(${scaleIndex(format, '(n / 4u)', 'k', K)}) * 4u + n % 4u];
  return f32(extractBits(bitcast<i32>(word), (k % ${VALUES_PER_WORD[format]}u) * ${bitsOf(format)}u, ${bitsOf(format)}u)) * scale;
}`;
