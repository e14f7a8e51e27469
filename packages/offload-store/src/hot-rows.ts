/** The rows of the lowest ids in memory. Ids are ranks, so these are the ones that are asked for most, and a bound on them is all the policy. */
import type { StoreManifest } from './manifest.js';
import { allocateRows, type RowBuffer } from './row-dtype.js';

/** Where rows come from: a backend's reader, or what stands before it. */
export interface RowSource {
  /** As a backend's. @param lost gets the ids of rows that could not be had and are zeros, where they are not an error */
  readRows(ids: Uint32Array, into: Uint8Array, signal: AbortSignal | undefined, lost?: Set<number>): void | Promise<void>;
}

/** Bytes read at a time while the rows are loaded, so that others get their turn. */
const CHUNK_BYTES = 2 ** 20;

export class HotRows {
  /** Rows 0 to `loaded` - 1 are here. */
  loaded = 0;
  /** As they are stored. */
  readonly encoded: RowBuffer;
  readonly #rowBytes: number;
  readonly #rows: number;

  constructor({ dtype, width, rowBytes }: StoreManifest, rows: number) {
    this.encoded = allocateRows(dtype, width, rows);
    this.#rowBytes = rowBytes;
    this.#rows = rows;
  }

  /** Loads the rows, lowest ids first. Ends early when aborted. */
  async load(source: RowSource, signal: AbortSignal): Promise<void> {
    const step = Math.max(1, Math.floor(CHUNK_BYTES / this.#rowBytes));
    while (this.loaded < this.#rows && !signal.aborted) {
      const first = this.loaded;
      const count = Math.min(step, this.#rows - first);
      const ids = Uint32Array.from({ length: count }, (_, i) => first + i);
      await source.readRows(ids, this.encoded.bytes.subarray(first * this.#rowBytes, (first + count) * this.#rowBytes), signal);
      this.loaded += count;
      await new Promise((resolve) => setTimeout(resolve));
    }
  }
}
