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
  const { buffer } = new Uint8Array(bytes);
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

/** Some 200,000 tensors. */
const maxHeaderBytes = 16 * 2 ** 20;

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
  if (length > maxHeaderBytes) throw corrupt(where, `the header has ${length} bytes, at most ${maxHeaderBytes} are read`);
  const header = parseHeader(bytes.subarray(8, 8 + length), where);
  const { __metadata__: metadata = {}, ...entries } = header;
  if (!isRecord(metadata) || Object.values(metadata).some((value) => typeof value !== 'string'))
    throw corrupt(where, 'its metadata is no table of texts');
  const body = bytes.subarray(8 + length);
  const found = Object.entries(entries).map(([name, entry]) => expectEntry(where, name, entry));
  found.sort((a, b) => a.start - b.start || a.end - b.end);
  let expected = 0;
  for (const { name, start, end } of found) {
    if (start !== expected) throw corrupt(where, `tensor '${name}' begins at byte ${start}, expected ${expected}: a hole or an overlap`);
    if (end > body.length) throw corrupt(where, `truncated: tensor '${name}' ends at byte ${end} of ${body.length}`);
    expected = end;
  }
  if (expected !== body.length) throw corrupt(where, `${body.length - expected} bytes follow the last tensor`);
  // Only now is memory taken: as much as the file has.
  const tensors = new Map<string, NamedTensor>();
  for (const { name, dtype, shape, start, end } of found) tensors.set(name, { shape, data: decode(body.subarray(start, end), dtype) });
  return { tensors, metadata: metadata as Readonly<Record<string, string>> };
}

/** JSON lets pass a name twice and takes the last: the bytes of the other are then a hole, which is refused. */
function parseHeader(bytes: Uint8Array, where: string): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw corrupt(where, 'the header is not JSON', cause);
  }
  if (!isRecord(header)) throw corrupt(where, 'the header is no JSON object');
  return header;
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

interface Entry {
  readonly name: string;
  readonly dtype: StoredDType;
  readonly shape: readonly number[];
  readonly start: number;
  readonly end: number;
}

/** One entry of the header, its numbers whole, none of them or of their product beyond 2^53. */
function expectEntry(where: string, name: string, entry: unknown): Entry {
  const { dtype, shape, data_offsets: offsets } = isRecord(entry) ? entry : {};
  if (name === '__proto__') throw corrupt(where, 'a tensor is called __proto__');
  if (dtype !== 'F32' && dtype !== 'F16' && dtype !== 'BF16')
    throw corrupt(where, `tensor '${name}' is ${brief(dtype)}, expected F32, F16 or BF16`);
  if (!areSizes(shape) || !areSizes(offsets) || offsets.length !== 2)
    throw corrupt(where, `tensor '${name}' has shape ${brief(shape)} and offsets ${brief(offsets)}`);
  const [start, end] = offsets;
  const size = shape.reduce((product, extent) => product * extent, 1) * BYTES[dtype];
  if (end - start !== size) throw corrupt(where, `tensor '${name}' of [${brief(shape)}] ${dtype} does not fill bytes ${start}..${end}`);
  return { name, dtype, shape, start, end };
}

const areSizes = (value: unknown): value is number[] =>
  Array.isArray(value) && value.length <= 16 && value.every((size) => Number.isSafeInteger(size) && size >= 0);

/** For messages. A text nested too deep for JSON.stringify is not shown. */
function brief(value: unknown): string {
  if (typeof value === 'object' && value !== null && !areSizes(value)) return Array.isArray(value) ? 'a list' : 'an object';
  return String(value).slice(0, 80);
}
