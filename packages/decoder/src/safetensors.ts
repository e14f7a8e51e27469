/** The safetensors format, read strictly: every byte of the file is accounted for. Runs in browsers. */
import { fromBfloat16, fromHalf, type Shape, toBfloat16, toHalf } from '@sconelm/tensor-webgpu';
import { DecoderError } from './errors.js';

export interface NamedTensor {
  readonly shape: Shape;
  readonly data: Float32Array<ArrayBuffer>;
}

/** How a file stores its tensors. */
export type StoredDType = 'F32' | 'F16' | 'BF16';

const BYTES: Readonly<Record<StoredDType, 2 | 4>> = { F32: 4, F16: 2, BF16: 2 };

function encode(data: Float32Array<ArrayBuffer>, dtype: StoredDType): Uint8Array<ArrayBuffer> {
  const stored = dtype === 'F32' ? data : dtype === 'F16' ? toHalf(data) : toBfloat16(data);
  return new Uint8Array(stored.buffer, stored.byteOffset, data.length * BYTES[dtype]);
}

/** @param bytes at any alignment */
function decode(bytes: Uint8Array, dtype: StoredDType): Float32Array<ArrayBuffer> {
  const { buffer } = Uint8Array.from(bytes);
  if (dtype === 'F32') return new Float32Array(buffer);
  return dtype === 'F16' ? fromHalf(new Uint16Array(buffer)) : fromBfloat16(new Uint16Array(buffer));
}

/** The file's bytes: tensors in the order of the map, rounded to `dtype`. */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, NamedTensor>,
  metadata: Readonly<Record<string, string>> = {},
  { dtype = 'F32' }: { readonly dtype?: StoredDType } = {},
): Uint8Array<ArrayBuffer> {
  let offset = 0;
  const header: Record<string, unknown> = { __metadata__: metadata };
  for (const [name, { shape, data }] of tensors) {
    const end = offset + data.length * BYTES[dtype];
    header[name] = { dtype, shape, data_offsets: [offset, end] };
    offset = end;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const padded = Math.ceil(text.length / 8) * 8;
  const bytes = new Uint8Array(8 + padded + offset).fill(0x20, 8, 8 + padded);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded), true);
  bytes.set(text, 8);
  let at = 8 + padded;
  for (const { data } of tensors.values()) {
    bytes.set(encode(data, dtype), at);
    at += data.length * BYTES[dtype];
  }
  return bytes;
}

const corrupt = (where: string, what: string, cause?: unknown) =>
  new DecoderError('CHECKPOINT_CORRUPT', `${where}: ${what}`, 'Copy or train this checkpoint again.', cause);

/** @param where the file, for messages @throws {DecoderError} CHECKPOINT_CORRUPT */
export function parseSafetensors(
  bytes: Uint8Array,
  where: string,
): { tensors: Map<string, NamedTensor>; metadata: Readonly<Record<string, string>> } {
  if (bytes.length < 8) throw corrupt(where, `${bytes.length} bytes are too few for a safetensors file`);
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true));
  if (length > bytes.length - 8) throw corrupt(where, `the header claims ${length} bytes, but ${bytes.length - 8} follow`);
  let header: Record<string, { dtype?: unknown; shape?: unknown; data_offsets?: unknown }>;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(8, 8 + length)));
  } catch (cause) {
    throw corrupt(where, 'the header is not JSON', cause);
  }
  const { __metadata__: metadata = {}, ...entries } = header;
  const body = bytes.subarray(8 + length);
  const tensors = new Map<string, NamedTensor>();
  let expected = 0;
  const ordered = Object.entries(entries).sort(
    ([, a], [, b]) => Number((a.data_offsets as number[])?.[0]) - Number((b.data_offsets as number[])?.[0]),
  );
  for (const [name, { dtype, shape, data_offsets: offsets }] of ordered) {
    if (dtype !== 'F32' && dtype !== 'F16' && dtype !== 'BF16')
      throw corrupt(where, `tensor '${name}' is ${String(dtype)}, expected F32, F16 or BF16`);
    if (!Array.isArray(shape) || !Array.isArray(offsets) || offsets.length !== 2)
      throw corrupt(where, `tensor '${name}' has no shape or offsets`);
    const size = shape.reduce((product: number, extent: number) => product * extent, 1) * BYTES[dtype];
    if (offsets[0] !== expected || offsets[1] - offsets[0] !== size)
      throw corrupt(where, `tensor '${name}' does not fill bytes ${offsets.join('..')}`);
    if (offsets[1] > body.length) throw corrupt(where, `truncated: tensor '${name}' ends at byte ${offsets[1]} of ${body.length}`);
    tensors.set(name, { shape, data: decode(body.subarray(offsets[0], offsets[1]), dtype) });
    expected = offsets[1];
  }
  if (expected !== body.length) throw corrupt(where, `${body.length - expected} bytes follow the last tensor`);
  return { tensors, metadata: metadata as Readonly<Record<string, string>> };
}
