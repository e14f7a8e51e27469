/** The safetensors format, read strictly: every byte of the file is accounted for. Runs in browsers. */
import { fromBfloat16, fromHalf, type Shape, toBfloat16, toHalf } from '@sconelm/tensor-webgpu';
import { DecoderError } from './errors.js';

export interface NamedTensor {
  readonly shape: Shape;
  readonly data: Float32Array<ArrayBuffer>;
}

/** How our files store their tensors. */
export type StoredDType = 'F32' | 'F16' | 'BF16';

export const isStoredDType = (dtype: string): dtype is StoredDType => dtype === 'F32' || dtype === 'F16' || dtype === 'BF16';

/** Of an element, by every dtype that the format names. */
const BYTES: Readonly<Record<string, number>> = {
  ...{ F64: 8, I64: 8, U64: 8, F32: 4, I32: 4, U32: 4, F16: 2, BF16: 2, I16: 2, U16: 2 },
  ...{ I8: 1, U8: 1, BOOL: 1, F8_E4M3: 1, F8_E5M2: 1 },
};

/** Words are stored as they are. */
export function encodeElements(data: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>, dtype: StoredDType): Uint8Array<ArrayBuffer> {
  if (data instanceof Uint32Array) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const stored = dtype === 'F32' ? data : dtype === 'F16' ? toHalf(data) : toBfloat16(data);
  return new Uint8Array(stored.buffer, stored.byteOffset, data.length * BYTES[dtype]);
}

/** @param buffer the tensor's bytes, no longer to be used by others @throws {DecoderError} CHECKPOINT_CORRUPT unless it is F32, F16 or BF16 */
export function decodeElements(buffer: ArrayBuffer, { name, dtype }: TensorEntry, where: string): Float32Array<ArrayBuffer> {
  if (dtype === 'F32') return new Float32Array(buffer);
  if (dtype === 'F16') return fromHalf(new Uint16Array(buffer));
  if (dtype === 'BF16') return fromBfloat16(new Uint16Array(buffer));
  throw corrupt(where, `tensor '${name}' is ${dtype}, expected F32, F16 or BF16`);
}

/** What a header says of tensors that follow one another. @returns the first bytes of a file, a multiple of eight */
export function encodeHeader(
  tensors: Iterable<{ readonly name: string; readonly shape: Shape; readonly dtype: StoredDType | 'U32' }>,
  metadata: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  let offset = 0;
  const header: Record<string, unknown> = { __metadata__: metadata };
  for (const { name, shape, dtype } of tensors) {
    const end = offset + shape.reduce((product, extent) => product * extent, 1) * BYTES[dtype];
    header[name] = { dtype, shape, data_offsets: [offset, end] };
    offset = end;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(8 + Math.ceil(text.length / 8) * 8).fill(0x20, 8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(bytes.length - 8), true);
  bytes.set(text, 8);
  return bytes;
}

/** The file's bytes: tensors in the order of the map, rounded to `dtype`. */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, NamedTensor>,
  metadata: Readonly<Record<string, string>> = {},
  { dtype = 'F32' }: { readonly dtype?: StoredDType } = {},
): Uint8Array<ArrayBuffer> {
  const header = encodeHeader(
    Array.from(tensors, ([name, { shape }]) => ({ name, shape, dtype })),
    metadata,
  );
  let at = header.length;
  const length = [...tensors.values()].reduce((sum, { data }) => sum + data.length * BYTES[dtype], at);
  const bytes = new Uint8Array(length);
  bytes.set(header);
  for (const { data } of tensors.values()) {
    bytes.set(encodeElements(data, dtype), at);
    at += data.length * BYTES[dtype];
  }
  return bytes;
}

/** Some 200,000 tensors. */
const maxHeaderBytes = 16 * 2 ** 20;

const corrupt = (where: string, what: string, cause?: unknown) =>
  new DecoderError('CHECKPOINT_CORRUPT', `${where}: ${what}`, 'Copy or train this checkpoint again.', cause);

/** Where a tensor lies. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: Shape;
  /** Bytes of it, from the end of the header on. */
  readonly start: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  readonly entries: readonly TensorEntry[];
  readonly metadata: Readonly<Record<string, string>>;
}

/** @param first the first eight bytes of a file @returns bytes of the header that follows @throws {DecoderError} CHECKPOINT_CORRUPT */
export function headerLength(first: Uint8Array, fileBytes: number, where: string): number {
  if (first.length < 8) throw corrupt(where, `${first.length} bytes are too few for a safetensors file`);
  const length = Number(new DataView(first.buffer, first.byteOffset, 8).getBigUint64(0, true));
  if (length > fileBytes - 8) throw corrupt(where, `the header claims ${length} bytes, but ${fileBytes - 8} follow`);
  if (length > maxHeaderBytes) throw corrupt(where, `the header has ${length} bytes, at most ${maxHeaderBytes} are read`);
  return length;
}

/** @param text the header without its length @param bodyBytes what follows it in the file @throws {DecoderError} CHECKPOINT_CORRUPT */
export function parseHeader(text: Uint8Array, bodyBytes: number, where: string): SafetensorsHeader {
  const { __metadata__: metadata = {}, ...entries } = parseObject(text, where);
  if (!isRecord(metadata) || Object.values(metadata).some((value) => typeof value !== 'string'))
    throw corrupt(where, 'its metadata is no table of texts');
  const found = Object.entries(entries).map(([name, entry]) => expectEntry(where, name, entry));
  found.sort((a, b) => a.start - b.start || a.end - b.end);
  let expected = 0;
  for (const { name, start, end } of found) {
    if (start !== expected) throw corrupt(where, `tensor '${name}' begins at byte ${start}, expected ${expected}: a hole or an overlap`);
    if (end > bodyBytes) throw corrupt(where, `truncated: tensor '${name}' ends at byte ${end} of ${bodyBytes}`);
    expected = end;
  }
  if (expected !== bodyBytes) throw corrupt(where, `${bodyBytes - expected} bytes follow the last tensor`);
  return { entries: found, metadata: metadata as Readonly<Record<string, string>> };
}

/** @param where the file, for messages @throws {DecoderError} CHECKPOINT_CORRUPT */
export function parseSafetensors(
  bytes: Uint8Array,
  where: string,
): { tensors: Map<string, NamedTensor>; metadata: Readonly<Record<string, string>> } {
  const { entries, metadata, bytesOf } = splitSafetensors(bytes, where);
  // Only now is memory taken: as much as the file has.
  const tensors = new Map<string, NamedTensor>();
  for (const entry of entries) tensors.set(entry.name, { shape: entry.shape, data: decodeElements(bytesOf(entry), entry, where) });
  return { tensors, metadata };
}

/** A file's header, and copies of its tensors' bytes. @throws {DecoderError} CHECKPOINT_CORRUPT */
export function splitSafetensors(
  bytes: Uint8Array,
  where: string,
): SafetensorsHeader & { readonly bytesOf: (entry: TensorEntry) => ArrayBuffer } {
  const length = headerLength(bytes.subarray(0, 8), bytes.length, where);
  const body = bytes.subarray(8 + length);
  const header = parseHeader(bytes.subarray(8, 8 + length), body.length, where);
  return { ...header, bytesOf: ({ start, end }) => new Uint8Array(body.subarray(start, end)).buffer };
}

/** JSON lets pass a name twice and takes the last: the bytes of the other are then a hole, which is refused. */
function parseObject(bytes: Uint8Array, where: string): Record<string, unknown> {
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

/** One entry of the header, its numbers whole, none of them or of their product beyond 2^53. */
function expectEntry(where: string, name: string, entry: unknown): TensorEntry {
  const { dtype, shape, data_offsets: offsets } = isRecord(entry) ? entry : {};
  if (name === '__proto__') throw corrupt(where, 'a tensor is called __proto__');
  if (typeof dtype !== 'string' || !Object.hasOwn(BYTES, dtype))
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
