/** What is done about rows that cannot be read: they are computed again, or the caller is told which they are. */
import { type ComputeRows, computeEncoded } from './compute.js';
import type { CorruptStoreError } from './errors.js';
import type { RowSource } from './hot-rows.js';
import type { StoreManifest } from './manifest.js';

export class RecoveredRows implements RowSource {
  recomputed = 0;
  readonly #manifest: StoreManifest;
  readonly #source: RowSource;
  readonly #compute: ComputeRows | undefined;

  /** @param compute without it, rows are lost: zeros, and told */
  constructor(manifest: StoreManifest, source: RowSource, compute: ComputeRows | undefined) {
    this.#manifest = manifest;
    this.#source = source;
    this.#compute = compute;
  }

  readRows(ids: Uint32Array, into: Uint8Array, signal: AbortSignal | undefined, lost?: Set<number>): void | Promise<void> {
    let answer: void | Promise<void>;
    try {
      answer = this.#source.readRows(ids, into, signal);
    } catch (error) {
      return this.#recover(error, ids, into, signal, lost);
    }
    return answer?.catch((error: unknown) => this.#recover(error, ids, into, signal, lost));
  }

  async #recover(
    error: unknown,
    ids: Uint32Array,
    into: Uint8Array,
    signal: AbortSignal | undefined,
    lost: Set<number> | undefined,
  ): Promise<void> {
    // By its code, not its class: a backend from elsewhere may have a copy of this package of its own.
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code !== 'STORE_CORRUPT' && code !== 'STORE_IO' && code !== 'STORE_MISSING') throw error;
    // A store that does not answer has no place where it is damaged.
    if (code !== 'STORE_CORRUPT') return this.#replace(ids, into, signal, lost);
    const damaged = placesOf(error as Partial<CorruptStoreError>, ids);
    if (damaged.length === ids.length) return this.#replace(ids, into, signal, lost);
    // The others are read again; where nothing is said, halves are, until the damaged rows stand alone.
    if (damaged.length === 0) {
      if (ids.length === 1) return this.#replace(ids, into, signal, lost);
      const half = ids.length >>> 1;
      const { rowBytes } = this.#manifest;
      await this.readRows(ids.subarray(0, half), into.subarray(0, half * rowBytes), signal, lost);
      await this.readRows(ids.subarray(half), into.subarray(half * rowBytes), signal, lost);
      return;
    }
    const isDamaged = new Set(damaged);
    const others = Array.from(ids.keys()).filter((i) => !isDamaged.has(i));
    await this.#scatter(others, ids, into, (some, bytes) => this.readRows(some, bytes, signal, lost));
    await this.#scatter(damaged, ids, into, (some, bytes) => this.#replace(some, bytes, signal, lost));
  }

  /** Does `work` on the ids at `places`, with a buffer of its own. */
  async #scatter(
    places: readonly number[],
    ids: Uint32Array,
    into: Uint8Array,
    work: (ids: Uint32Array, into: Uint8Array) => void | Promise<void>,
  ): Promise<void> {
    const { rowBytes } = this.#manifest;
    const bytes = new Uint8Array(places.length * rowBytes);
    const some = Uint32Array.from(places, (i) => ids[i]!);
    await work(some, bytes);
    places.forEach((i, k) => {
      into.set(bytes.subarray(k * rowBytes, (k + 1) * rowBytes), i * rowBytes);
    });
  }

  async #replace(ids: Uint32Array, into: Uint8Array, signal: AbortSignal | undefined, lost: Set<number> | undefined): Promise<void> {
    if (this.#compute === undefined) {
      into.fill(0, 0, ids.length * this.#manifest.rowBytes);
      for (const id of ids) lost?.add(id);
      return;
    }
    await computeEncoded(this.#manifest, this.#compute, ids, into, signal);
    this.recomputed += ids.length;
  }
}

/** Which of the ids are among the rows that the error speaks of; none if it speaks of none. */
function placesOf({ rows = [] }: Partial<CorruptStoreError>, ids: Uint32Array): number[] {
  return Array.from(ids.keys()).filter((i) => rows.some(({ from, to }) => ids[i]! >= from && ids[i]! < to));
}
