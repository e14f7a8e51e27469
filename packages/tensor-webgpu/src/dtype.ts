/** Element types: their widths, their typed arrays and their names in WGSL. */

/** `bool` is stored as a 32-bit 0 or 1, because WGSL's bool has no layout in memory. */
export type DType = 'f32' | 'i32' | 'u32' | 'bool';

export type TypedArray = Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

/** Bytes of one element of each dtype. */
export const BYTES_PER_ELEMENT = 4;

/** The name of the type that holds one element in a storage buffer. */
export const STORAGE_TYPE: Readonly<Record<DType, 'f32' | 'i32' | 'u32'>> = { f32: 'f32', i32: 'i32', u32: 'u32', bool: 'u32' };

/** The typed array that holds elements of `dtype` on the host. */
export function typedArray(dtype: DType, source: number | ArrayBuffer): TypedArray {
  const create = dtype === 'f32' ? Float32Array : dtype === 'i32' ? Int32Array : Uint32Array;
  return typeof source === 'number' ? new create(source) : new create(source);
}

/** The dtype that a typed array stands for. */
export function dtypeOf(data: TypedArray): DType {
  if (data instanceof Float32Array) return 'f32';
  return data instanceof Int32Array ? 'i32' : 'u32';
}
