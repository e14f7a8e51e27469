/** Words of small integers with scales (see `quantize.ts`) as kernels read them: in vectors of four outputs, of four neighbours along K, or one by one. */
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

/** `weight(n, k)`: one value, of bindings `words: u32` and `scales: f32`; K is an expression. */
export const weightFunction = (format: QuantizedFormat, K: string) => `
fn weight(n: u32, k: u32) -> f32 {
  let word = words[((n / 4u) * ${rowWords(format, K)} + k / ${VALUES_PER_WORD[format]}u) * 4u + n % 4u];
  let scale = scales[(${scaleIndex(format, '(n / 4u)', 'k', K)}) * 4u + n % 4u];
  return f32(extractBits(bitcast<i32>(word), (k % ${VALUES_PER_WORD[format]}u) * ${bitsOf(format)}u, ${bitsOf(format)}u)) * scale;
}`;

/** `fourWeights(n, i)`: values 4i .. 4i + 3 of row n, of bindings `words: u32` and `scales: f32`. */
export const fourWeightsFunction = (format: QuantizedFormat, K: string) => `
fn fourWeights(n: u32, i: u32) -> vec4f {
  let k = i * 4u;
  let word = bitcast<i32>(words[((n / 4u) * ${rowWords(format, K)} + k / ${VALUES_PER_WORD[format]}u) * 4u + n % 4u]${format === 'int4' ? ' >> ((i % 2u) * 16u)' : ''});
  let scale = scales[(${scaleIndex(format, '(n / 4u)', 'k', K)}) * 4u + n % 4u];
  return vec4f((vec4i(word) << vec4u(${[0, 1, 2, 3].map((j) => `${32 - bitsOf(format) * (j + 1)}u`).join(', ')})) >> vec4u(${32 - bitsOf(format)}u)) * scale;
}`;
