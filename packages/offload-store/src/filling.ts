/**
 * A store that fills itself: rows that are not there yet are computed when they are first wanted, and written through. Whoever opens it again goes on
 * with what is there; when every row is, it can be published.
 */
import type { RowReader, RowSink } from './backend.js';
import { type ComputeRows, computeEncoded } from './compute.js';
import type { StoreDescription, StoreManifest } from './manifest.js';
import { rowBytesOf } from './row-dtype.js';

/** Rows are written this many at a time, because each writing waits for the disk. */
const FLUSH_ROWS = 256;

export class FillingReader implements RowReader {
  readonly manifest: StoreManifest;
  readonly #sink: RowSink;
  readonly #compute: ComputeRows;
  /** Computed, and not written yet. */
  readonly #pending = new Map<number, Uint8Array>();
  #turn: Promise<void> = Promise.resolve();
  #computed = 0;

  constructor(description: StoreDescription, sink: RowSink, compute: ComputeRows) {
    const rowBytes = rowBytesOf(description.dtype, description.width);
    this.manifest = { ...description, rowBytes, checksums: [], fingerprint: '' };
    this.#sink = sink;
    this.#compute = compute;
  }

  /** Calls take turns, so that no row is computed twice and the sink is asked for one thing at a time. */
  readRows(ids: Uint32Array, into: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    return this.#inTurn(() => this.#read(ids, into, signal));
  }

  async #read(ids: Uint32Array, into: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    const { rowBytes } = this.manifest;
    const written: number[] = [];
    const missing: number[] = [];
    ids.forEach((id, i) => {
      const row = this.#pending.get(id);
      if (row !== undefined) into.set(row, i * rowBytes);
      else (this.#sink.written.has(id) ? written : missing).push(i);
    });
    const take = async (
      places: readonly number[],
      read: (ids: Uint32Array, into: Uint8Array) => void | Promise<void>,
    ): Promise<Uint8Array> => {
      const bytes = new Uint8Array(places.length * rowBytes);
      if (places.length > 0) {
        await read(
          Uint32Array.from(places, (i) => ids[i]!),
          bytes,
        );
      }
      places.forEach((i, k) => {
        into.set(bytes.subarray(k * rowBytes, (k + 1) * rowBytes), i * rowBytes);
      });
      return bytes;
    };
    await take(written, (rows, bytes) => this.#sink.readRows(rows, bytes));
    const computed = await take(missing, (rows, bytes) => computeEncoded(this.manifest, this.#compute, rows, bytes, signal));
    missing.forEach((i, k) => {
      this.#pending.set(ids[i]!, computed.slice(k * rowBytes, (k + 1) * rowBytes));
    });
    this.#computed += missing.length;
    if (this.#pending.size >= FLUSH_ROWS) await this.#flush();
  }

  async #flush(): Promise<void> {
    const rows = [...this.#pending].sort(([a], [b]) => a - b);
    if (rows.length === 0) return;
    const bytes = new Uint8Array(rows.length * this.manifest.rowBytes);
    rows.forEach(([, row], i) => {
      bytes.set(row, i * this.manifest.rowBytes);
    });
    await this.#sink.writeRows(
      Uint32Array.from(rows, ([id]) => id),
      bytes,
    );
    this.#pending.clear();
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {}); // its caller gets the error; the next in line starts all the same
    return turn;
  }

  readChecksums(): void {
    throw new Error('unreachable: a store that is being filled has no checksums');
  }

  stats(): Readonly<Record<string, number>> {
    return { computed: this.#computed, written: this.#sink.written.count };
  }

  close(): Promise<void> {
    return this.#inTurn(async () => {
      try {
        await this.#flush();
      } finally {
        await this.#sink.close();
      }
    });
  }
}
