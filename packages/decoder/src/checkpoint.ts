/** Variables to and from safetensors files, written aside and renamed. */
import { readFile } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { publishBytes, sha256, withArtifactErrors } from '@sconelm/artifact';
import type { Variable } from '@sconelm/tensor-webgpu';
import { DecoderError } from './errors.js';
import { encodeSafetensors, type NamedTensor, parseSafetensors, type StoredDType } from './safetensors.js';

/** Reads every variable from the device and publishes them as one file, rounded to `dtype`. @throws {ArtifactError} */
export async function saveCheckpoint(
  path: string,
  variables: Iterable<Variable>,
  metadata: Readonly<Record<string, string>> = {},
  options: { readonly dtype?: StoredDType } = {},
): Promise<void> {
  const tensors = new Map<string, NamedTensor>();
  for (const variable of variables)
    tensors.set(variable.name, { shape: variable.shape, data: (await variable.read()) as Float32Array<ArrayBuffer> });
  await writeCheckpoint(path, tensors, metadata, options);
}

/** Publishes tensors as one file, with a checksum among its metadata. @throws {ArtifactError} */
export async function writeCheckpoint(
  path: string,
  tensors: ReadonlyMap<string, NamedTensor>,
  metadata: Readonly<Record<string, string>> = {},
  options: { readonly dtype?: StoredDType } = {},
): Promise<void> {
  const bytes = encodeSafetensors(tensors, { checksum: unsealed, ...metadata }, options);
  bytes.set(new TextEncoder().encode(sealOf(bytes)), sealAt);
  await publishBytes(path, bytes);
}

/** Reads a file of `writeCheckpoint`; those from elsewhere have no checksum: `parseSafetensors` reads them. @throws {ArtifactError | DecoderError} missing, or corrupt */
export async function readCheckpoint(path: string): Promise<Map<string, NamedTensor>> {
  return withArtifactErrors(path, async () => {
    const bytes = await readFile(path);
    const { tensors, metadata } = parseSafetensors(bytes, path);
    const expected = sealOf(bytes);
    if (metadata.checksum === expected) return tensors;
    const what = `${path}: checksum is ${metadata.checksum ?? 'missing'}, but the content has ${expected}`;
    throw new DecoderError('CHECKPOINT_CORRUPT', what, 'Copy or train this checkpoint again.');
  });
}

/** A seal is the CRC-32 of the whole file with this text in the seal's own place. It is the first entry of the header. */
const unsealed = 'crc32:00000000';

/** Where it begins: encodeSafetensors writes metadata first. */
const sealAt = 8 + '{"__metadata__":{"checksum":"'.length;

function sealOf(bytes: Uint8Array): string {
  const sum = crc32(bytes.subarray(sealAt + unsealed.length), crc32(unsealed, crc32(bytes.subarray(0, sealAt))));
  return `crc32:${sum.toString(16).padStart(8, '0')}`;
}

/**
 * Writes a file's tensors into variables of the same names and shapes.
 * @throws {DecoderError} CHECKPOINT_MISMATCH if a variable is missing in the file or has another shape there; the variables are untouched then
 */
export async function loadCheckpoint(path: string, variables: Iterable<Variable>): Promise<void> {
  const tensors = await readCheckpoint(path);
  const mismatch = (what: string) =>
    new DecoderError('CHECKPOINT_MISMATCH', `${path}: ${what}`, 'Use the checkpoint of a model of this configuration.');
  for (const { name, shape } of variables) {
    const found = tensors.get(name)?.shape;
    if (found === undefined) throw mismatch(`tensor '${name}' is missing`);
    if (found.join() !== shape.join()) throw mismatch(`tensor '${name}' is [${found}], expected [${shape}]`);
  }
  for (const variable of variables) variable.write(tensors.get(variable.name)?.data ?? new Float32Array());
}

/** A hash of every parameter's name and bits: what a store of rows is bound to. */
export async function fingerprint(variables: Iterable<Variable>): Promise<string> {
  const hashes = await Promise.all(
    [...variables].map(async (variable) => {
      const { buffer, byteOffset, byteLength } = await variable.read();
      return `${variable.name} ${sha256(new Uint8Array(buffer, byteOffset, byteLength))}`;
    }),
  );
  return sha256(hashes.join('\n'));
}
