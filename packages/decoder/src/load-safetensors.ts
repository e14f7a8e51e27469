/** Which tensors of a file belong into which variables. Runs in browsers. */
import type { Shape } from '@sconelm/tensor-webgpu';
import { DecoderError } from './errors.js';
import { parseSafetensors } from './safetensors.js';
import type { ParameterSink } from './weights.js';

/** The tensor of each variable. @param where the file, for messages @throws {DecoderError} CHECKPOINT_MISMATCH: one is missing or has another shape */
export function findAll<T extends { readonly shape: Shape }>(
  tensors: ReadonlyMap<string, T>,
  variables: Iterable<ParameterSink>,
  where: string,
): { readonly variable: ParameterSink; readonly found: T }[] {
  const mismatch = (what: string) =>
    new DecoderError('CHECKPOINT_MISMATCH', `${where}: ${what}`, 'Use the checkpoint of a model of this configuration.');
  return Array.from(variables, (variable) => {
    const { name, shape } = variable;
    const found = tensors.get(name);
    if (found === undefined) throw mismatch(`tensor '${name}' is missing`);
    if (found.shape.join() !== shape.join()) throw mismatch(`tensor '${name}' is [${found.shape}], expected [${shape}]`);
    return { variable, found };
  });
}

/** As `loadCheckpoint`, of bytes that are at hand; their checksum is the caller's to compare. @throws {DecoderError} as `loadCheckpoint` does */
export function loadSafetensors(bytes: Uint8Array, variables: Iterable<ParameterSink>, where: string): void {
  const { tensors } = parseSafetensors(bytes, where);
  for (const { variable, found } of findAll(tensors, variables, where)) variable.write(found.data);
}
