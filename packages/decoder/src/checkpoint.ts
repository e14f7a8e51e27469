/** Variables to and from safetensors files, written aside and renamed; the host holds a tensor or a few at a time. */
import { crc32 } from 'node:zlib';
import { publishFile } from '@sconelm/artifact';
import type { Shape } from '@sconelm/tensor-webgpu';
import { DecoderError } from './errors.js';
import { findAll } from './load-safetensors.js';
import { encodeElements, encodeHeader, type NamedTensor, type StoredDType } from './safetensors.js';
import { SafetensorsFile } from './safetensors-file.js';
import type { ParameterSink, ParameterSource } from './weights.js';

interface CheckpointOptions {
  readonly dtype?: StoredDType;
}

/** Reads every variable, or other source of values, from the device and publishes them as one file, floats rounded to `dtype`. @throws {ArtifactError} */
export async function saveCheckpoint(
  path: string,
  variables: Iterable<ParameterSource>,
  metadata: Readonly<Record<string, string>> = {},
  options: CheckpointOptions = {},
): Promise<void> {
  const tensors = Array.from(variables, (variable) => ({
    name: variable.name,
    shape: variable.shape,
    isWords: variable.dtype === 'u32',
    read: async () => (await variable.read()) as Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>,
  }));
  await publishTensors(path, tensors, metadata, options);
}

/** Publishes tensors as one file, with a checksum among its metadata. @throws {ArtifactError} */
export async function writeCheckpoint(
  path: string,
  tensors: ReadonlyMap<string, NamedTensor>,
  metadata: Readonly<Record<string, string>> = {},
  options: CheckpointOptions = {},
): Promise<void> {
  const sources = Array.from(tensors, ([name, { shape, data }]) => ({ name, shape, isWords: false, read: async () => data }));
  await publishTensors(path, sources, metadata, options);
}

interface TensorSource {
  readonly name: string;
  readonly shape: Shape;
  readonly isWords: boolean;
  read(): Promise<Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>>;
}

/** Tensors are written together up to this size. */
const WRITE_BYTES = 4 * 2 ** 20;

async function publishTensors(
  path: string,
  tensors: readonly TensorSource[],
  metadata: Readonly<Record<string, string>>,
  { dtype = 'F32' }: CheckpointOptions,
): Promise<void> {
  await publishFile(path, async (file) => {
    let waiting: Uint8Array[] = [];
    let bytes = 0;
    let sum = 0;
    const write = async (next: Uint8Array, isLast: boolean) => {
      // Over an empty ArrayBuffer Node's crc32 gives 0, whatever was before.
      if (next.length > 0) sum = crc32(next, sum);
      waiting.push(next);
      bytes += next.length;
      if (bytes < WRITE_BYTES && !isLast) return;
      await file.writeFile(waiting.length === 1 ? waiting[0] : Buffer.concat(waiting));
      waiting = [];
      bytes = 0;
    };
    const entries = tensors.map(({ name, shape, isWords }) => ({ name, shape, dtype: isWords ? ('U32' as const) : dtype }));
    await write(encodeHeader(entries, { checksum: unsealed, ...metadata }), tensors.length === 0);
    for (const [i, tensor] of tensors.entries()) await write(encodeElements(await tensor.read(), dtype), i === tensors.length - 1);
    const seal = new TextEncoder().encode(sealOf(sum));
    for (let at = 0; at < seal.length; ) at += (await file.write(seal, at, seal.length - at, sealAt + at)).bytesWritten;
  });
}

/** Reads a file of `writeCheckpoint`; those from elsewhere have no checksum: `parseSafetensors` reads them. @throws {ArtifactError | DecoderError} missing, or corrupt */
export async function readCheckpoint(path: string): Promise<Map<string, NamedTensor>> {
  await using file = await openSealed(path);
  const tensors = new Map<string, NamedTensor>();
  for (const [name, entry] of file.entries) tensors.set(name, { shape: entry.shape, data: await file.read(entry) });
  return tensors;
}

/** A file that is what its checksum says. @throws {ArtifactError | DecoderError} */
async function openSealed(path: string): Promise<SafetensorsFile> {
  const file = await SafetensorsFile.open(path);
  try {
    let sum: number | undefined;
    for await (const piece of file.pieces()) {
      if (sum !== undefined) sum = crc32(piece, sum);
      else sum = crc32(piece.subarray(sealAt + unsealed.length), crc32(unsealed, crc32(piece.subarray(0, sealAt))));
    }
    const [found, expected] = [file.metadata.checksum ?? 'missing', sealOf(sum ?? 0)];
    if (found === expected) return file;
    const what = `${path}: checksum is ${found}, but the content has ${expected}`;
    throw new DecoderError('CHECKPOINT_CORRUPT', what, 'Copy or train this checkpoint again.');
  } catch (error) {
    await file[Symbol.asyncDispose]();
    throw error;
  }
}

/** A seal is the CRC-32 of the whole file with this text in the seal's own place. It is the first entry of the header. */
const unsealed = 'crc32:00000000';

/** Where it begins: encodeHeader writes metadata first. */
const sealAt = 8 + '{"__metadata__":{"checksum":"'.length;

const sealOf = (sum: number) => `crc32:${sum.toString(16).padStart(8, '0')}`;

/** Writes a file's tensors into variables of the same names and shapes. @throws {DecoderError} CHECKPOINT_MISMATCH, the variables untouched; CHECKPOINT_CORRUPT */
export async function loadCheckpoint(path: string, variables: Iterable<ParameterSink>): Promise<void> {
  await using file = await openSealed(path);
  for (const { variable, found } of findAll(file.entries, variables, path)) variable.write(await file.read(found));
}
