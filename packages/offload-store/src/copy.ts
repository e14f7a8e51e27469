/** A store to another place, medium or form. An interrupted copy goes on from the rows that are there. */
import type { StoreRequest } from './manifest.js';
import type { RowDtype } from './row-dtype.js';
import { createStore, openStore } from './store.js';

export interface CopyOptions {
  /** Rows 0 to `rows` - 1 only: the frequent ones, for the first tier. Default all. */
  readonly rows?: number;
  /** The copy's form. Default that of the original, whose bytes are then copied as they are. */
  readonly dtype?: RowDtype;
  readonly blockRows?: number;
  readonly shardRows?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (doneRows: number, rows: number) => void;
}

/** Bytes that are read and written at a time. */
const CHUNK_BYTES = 2 ** 22;

/**
 * Copies a published store and publishes the copy. What is read is compared with its checksums first.
 * @throws {StoreError} what `openStore`, `read`, `createStore`, `write` and `publish` throw; the signal's reason
 */
export async function copyStore(from: string, to: string, options: CopyOptions = {}): Promise<void> {
  const { signal, onProgress } = options;
  await using source = await openStore(from, { check: 'first-touch' });
  const { manifest } = source;
  const dtype = options.dtype ?? manifest.dtype;
  const isSame = dtype === manifest.dtype;
  const rows = Math.min(options.rows ?? manifest.rows, manifest.rows);
  const blockRows = options.blockRows ?? (isSame ? manifest.blockRows : undefined);
  const shardRows = options.shardRows ?? (isSame ? manifest.shardRows : undefined);
  const request: StoreRequest = {
    rows,
    width: manifest.width,
    dtype,
    binding: manifest.binding,
    ...(manifest.creator === undefined ? {} : { creator: manifest.creator }),
    ...(manifest.licence === undefined ? {} : { licence: manifest.licence }),
    ...(blockRows === undefined ? {} : { blockRows }),
    ...(shardRows === undefined ? {} : { shardRows }),
  };
  await using writer = await createStore(to, request);
  const chunk = Math.max(1, Math.floor(CHUNK_BYTES / manifest.rowBytes));
  onProgress?.(writer.written, rows);
  for (let first = writer.nextMissing(); first >= 0; first = writer.nextMissing(first)) {
    signal?.throwIfAborted();
    const ids: number[] = [];
    for (let id = first; id < rows && ids.length < chunk && !writer.has(id); id += 1) ids.push(id);
    const wanted = Uint32Array.from(ids);
    if (isSame) {
      const bytes = new Uint8Array(ids.length * manifest.rowBytes);
      await source.readEncoded(wanted, bytes, { signal });
      await writer.writeEncoded(wanted, bytes);
    } else {
      const values = new Float32Array(ids.length * manifest.width);
      await source.read(wanted, values, { signal });
      await writer.write(wanted, values);
    }
    onProgress?.(writer.written, rows);
  }
  await writer.publish();
}
