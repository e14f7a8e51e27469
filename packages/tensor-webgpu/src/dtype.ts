/** Element types: their widths, their typed arrays and their names in WGSL. */

/**
 * `bool` is stored as a 32-bit 0 or 1, because WGSL's bool has no layout in memory. `f16` is a form of storage: kernels widen what they load,
 * compute in f32 and narrow what they store.
 */
export type DType = 'f32' | 'f16' | 'i32' | 'u32' | 'bool';

/** Values on the host; those of f16 tensors are in a Float32Array. */
export type TypedArray = Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

/** Bytes of one element of each dtype. */
export const BYTES_PER_ELEMENT: Readonly<Record<DType, 2 | 4>> = { f32: 4, f16: 2, i32: 4, u32: 4, bool: 4 };

/** The type that kernels compute in for each dtype. */
export const COMPUTE_TYPE: Readonly<Record<DType, 'f32' | 'i32' | 'u32'>> = { f32: 'f32', f16: 'f32', i32: 'i32', u32: 'u32', bool: 'u32' };

export function isFloat(dtype: DType): boolean {
  return dtype === 'f32' || dtype === 'f16';
}

/** The typed array that holds elements of `dtype` on the host: of a length of zeros, or of the bytes that a buffer holds. */
export function typedArray(dtype: DType, source: number | ArrayBuffer): TypedArray {
  if (typeof source !== 'number' && dtype === 'f16') return fromHalf(new Uint16Array(source));
  const create = isFloat(dtype) ? Float32Array : dtype === 'i32' ? Int32Array : Uint32Array;
  return typeof source === 'number' ? new create(source) : new create(source);
}

/** The dtype that a typed array stands for. */
export function dtypeOf(data: TypedArray): DType {
  if (data instanceof Float32Array) return 'f32';
  return data instanceof Int32Array ? 'i32' : 'u32';
}

const floats = new Float32Array(1);
const bits = new Uint32Array(floats.buffer);

/** The nearest f16, ties to even, as its 16 bits. */
export function toHalfBits(value: number): number {
  floats[0] = value;
  const [x] = bits;
  const sign = (x >>> 16) & 0x8000;
  const magnitude = x & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Below the smallest normal number: steps of 2⁻²⁴. Rounding to whole steps is exact here, ties go to even.
    const steps = Math.abs(floats[0]) * 2 ** 24;
    const low = Math.floor(steps);
    const rest = steps - low;
    return sign | (rest > 0.5 || (rest === 0.5 && low % 2 === 1) ? low + 1 : low);
  }
  return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
}

export function fromHalfBits(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 31;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** f32 values as the bits of f16, an even number of them: buffers are written in whole words. */
export function toHalf(values: ArrayLike<number>): Uint16Array<ArrayBuffer> {
  const halves = new Uint16Array(Math.ceil(values.length / 2) * 2);
  for (let i = 0; i < values.length; i++) halves[i] = toHalfBits(values[i]);
  return halves;
}

export function fromHalf(halves: Uint16Array): Float32Array<ArrayBuffer> {
  const values = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) values[i] = fromHalfBits(halves[i]);
  return values;
}

/** f32 values as the bits of bfloat16, nearest, ties to even. NaN stays NaN. */
export function toBfloat16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < halves.length; i++) {
    const x = words[i];
    halves[i] = (x & 0x7fffffff) > 0x7f800000 ? (x >>> 16) | 0x40 : (x + 0x7fff + ((x >>> 16) & 1)) >>> 16;
  }
  return halves;
}

export function fromBfloat16(halves: Uint16Array): Float32Array<ArrayBuffer> {
  const words = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) words[i] = halves[i] << 16;
  return new Float32Array(words.buffer);
}
