/** Rows that are computed rather than read: what an f-gram model can do for its own store. */
import { StoreArgumentError } from './errors.js';
import type { StoreManifest } from './manifest.js';
import { allocateRows, rowBytesOf } from './row-dtype.js';

/**
 * Computes rows.
 * @param ids [n] unique, ascending
 * @param into [n, width], to be filled
 */
export type ComputeRows = (ids: Uint32Array, into: Float32Array, signal: AbortSignal | undefined) => Promise<void>;

/** Computes rows, checks that they are numbers which the dtype can hold, and encodes them into `into`. @throws {StoreArgumentError} */
export async function computeEncoded(
  { width, dtype }: Pick<StoreManifest, 'width' | 'dtype'>,
  compute: ComputeRows,
  ids: Uint32Array,
  into: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<void> {
  const values = new Float32Array(ids.length * width);
  await compute(ids, values, signal);
  const rows = allocateRows(dtype, width, ids.length);
  for (let i = 0; i < ids.length; i += 1) {
    const bad = values.subarray(i * width, (i + 1) * width).findIndex((value) => !Number.isFinite(value));
    const beyond = bad >= 0 ? bad : rows.encode(i, values, i * width);
    if (beyond < 0) continue;
    const what = `row ${ids[i]} was computed with ${values[i * width + beyond]} at element ${beyond}`;
    throw new StoreArgumentError(`${what}, which ${dtype} cannot hold`, 'Check the model that computes the rows.');
  }
  into.set(rows.bytes.subarray(0, ids.length * rowBytesOf(dtype, width)));
}
