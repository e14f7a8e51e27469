/** What is done about rows that cannot be read: they are computed again, or the caller is told which they are. */
import { type ComputeRows, computeEncoded } from './compute.js';
import type { RowSource } from './hot-rows.js';
import type { StoreManifest } from './manifest.js';

export class RecoveredRows implements RowSource {
  /** Rows that could not be had at their last reading; their bytes were given as zeros. */
  readonly lost = new Set<number>();
  recomputed = 0;
  readonly #manifest: StoreManifest;
  readonly #source: RowSource;
  readonly #compute: ComputeRows | undefined;

  /** @param compute without it, rows are lost */
  constructor(manifest: StoreManifest, source: RowSource, compute: ComputeRows | undefined) {
    this.#manifest = manifest;
    this.#source = source;
    this.#compute = compute;
  }

  readRows(ids: Uint32Array, into: Uint8Array, signal: AbortSignal | undefined): void | Promise<void> {
    let answer: void | Promise<void>;
    try {
      answer = this.#source.readRows(ids, into, signal);
    } catch (error) {
      return this.#recover(error, ids, into, signal);
    }
    if (answer === undefined) return this.#found(ids);
    return answer.then(
      () => this.#found(ids),
      (error: unknown) => this.#recover(error, ids, into, signal),
    );
  }

  #found(ids: Uint32Array): void {
    if (this.lost.size > 0) for (const id of ids) this.lost.delete(id);
  }

  async #recover(error: unknown, ids: Uint32Array, into: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    // By its code, not its class: a backend from elsewhere may have a copy of this package of its own.
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code !== 'STORE_CORRUPT' && code !== 'STORE_IO' && code !== 'STORE_MISSING') throw error;
    // Damage has a place: halves are tried until the damaged rows stand alone. A store that does not answer has none.
    if (code === 'STORE_CORRUPT' && ids.length > 1) {
      const half = ids.length >>> 1;
      const { rowBytes } = this.#manifest;
      await this.readRows(ids.subarray(0, half), into.subarray(0, half * rowBytes), signal);
      await this.readRows(ids.subarray(half), into.subarray(half * rowBytes), signal);
      return;
    }
    if (this.#compute === undefined) {
      into.fill(0, 0, ids.length * this.#manifest.rowBytes);
      for (const id of ids) this.lost.add(id);
      return;
    }
    await computeEncoded(this.#manifest, this.#compute, ids, into, signal);
    this.recomputed += ids.length;
    this.#found(ids);
  }
}
