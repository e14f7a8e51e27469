/** Which tensors of a file belong into which variables. Runs in browsers. */
import type { Shape, Variable } from '@sconelm/tensor-webgpu';
import { DecoderError } from './errors.js';
import { decodeElements, splitSafetensors, type TensorEntry } from './safetensors.js';

/** The tensor of each variable. @param where the file, for messages @throws {DecoderError} CHECKPOINT_MISMATCH: one is missing or has another shape */
export function findAll<T extends { readonly shape: Shape }, V extends { readonly name: string; readonly shape: Shape }>(
  tensors: ReadonlyMap<string, T>,
  variables: Iterable<V>,
  where: string,
): { readonly variable: V; readonly found: T }[] {
  return Array.from(variables, (variable) => {
    const { name, shape } = variable;
    const found = tensors.get(name);
    if (found === undefined) throw mismatch(where, `tensor '${name}' is missing`);
    if (found.shape.join() !== shape.join()) throw mismatch(where, `tensor '${name}' is [${found.shape}], expected [${shape}]`);
    return { variable, found };
  });
}

/**
 * As `loadCheckpoint`, of bytes that are at hand, whose checksum is the caller's to compare; and of words, those of quantised matrices
 * (`Weights.stored`).
 * @throws {DecoderError} as `loadCheckpoint` does
 */
export function loadSafetensors(bytes: Uint8Array, variables: Iterable<Variable>, where: string): void {
  const { entries, bytesOf } = splitSafetensors(bytes, where);
  const tensors = new Map(entries.map((entry) => [entry.name, entry]));
  for (const { variable, found } of findAll(tensors, variables, where)) {
    if (variable.dtype === 'u32') variable.write(new Uint32Array(bytesOf(expectWords(found, where))));
    else variable.write(decodeElements(bytesOf(found), found, where));
  }
}

function expectWords(entry: TensorEntry, where: string): TensorEntry {
  if (entry.dtype === 'U32') return entry;
  throw mismatch(where, `tensor '${entry.name}' is ${entry.dtype}, expected U32`);
}

const mismatch = (where: string, what: string) =>
  new DecoderError('CHECKPOINT_MISMATCH', `${where}: ${what}`, 'Use the checkpoint of a model of this configuration.');
