/** A bounded cache of rows in front of a slow medium. A row that was used since the hand last passed stays. [Corbató 1968, "CLOCK"] */
import type { RowSource } from './hot-rows.js';

export class CachedRows implements RowSource {
  hits = 0;
  readonly #source: RowSource;
  readonly #rowBytes: number;
  readonly #bytes: Uint8Array;
  /** Slot -> id, −1 where free. */
  readonly #ids: Float64Array;
  readonly #used: Uint8Array;
  readonly #slots = new Map<number, number>();
  #hand = 0;

  /** @param capacity rows that are kept, at least 1 */
  constructor(source: RowSource, rowBytes: number, capacity: number) {
    this.#source = source;
    this.#rowBytes = rowBytes;
    this.#bytes = new Uint8Array(capacity * rowBytes);
    this.#ids = new Float64Array(capacity).fill(-1);
    this.#used = new Uint8Array(capacity);
  }

  readRows(ids: Uint32Array, into: Uint8Array, signal: AbortSignal | undefined, lost?: Set<number>): void | Promise<void> {
    const rowBytes = this.#rowBytes;
    const missing: number[] = [];
    for (let i = 0; i < ids.length; i += 1) {
      const slot = this.#slots.get(ids[i]!);
      if (slot === undefined) {
        missing.push(i);
        continue;
      }
      this.#used[slot] = 1;
      into.set(this.#bytes.subarray(slot * rowBytes, (slot + 1) * rowBytes), i * rowBytes);
    }
    this.hits += ids.length - missing.length;
    if (missing.length === 0) return;
    const rows = new Uint8Array(missing.length * rowBytes);
    const finish = (): void => {
      missing.forEach((i, k) => {
        const row = rows.subarray(k * rowBytes, (k + 1) * rowBytes);
        into.set(row, i * rowBytes);
        if (lost?.has(ids[i]!) !== true) this.#keep(ids[i]!, row);
      });
    };
    const answer = this.#source.readRows(
      Uint32Array.from(missing, (i) => ids[i]!),
      rows,
      signal,
      lost,
    );
    return answer === undefined ? finish() : answer.then(finish);
  }

  has(id: number): boolean {
    return this.#slots.has(id);
  }

  #keep(id: number, row: Uint8Array): void {
    if (this.#slots.has(id)) return;
    while (this.#used[this.#hand] === 1) {
      this.#used[this.#hand] = 0;
      this.#hand = (this.#hand + 1) % this.#used.length;
    }
    const slot = this.#hand;
    this.#hand = (slot + 1) % this.#used.length;
    this.#slots.delete(this.#ids[slot]!);
    this.#ids[slot] = id;
    this.#slots.set(id, slot);
    this.#bytes.set(row, slot * this.#rowBytes);
  }
}
