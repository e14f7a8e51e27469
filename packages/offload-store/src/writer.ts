/**
 * Filling a store: rows by id in any order, over as many processes as it takes; nothing is visible before `publish`.
 * Encodes, checks and serialises; where the bytes go and how they survive a kill is the backend's.
 */
import type { RowRange, RowSink } from './backend.js';
import { eachBlock, fingerprintOf, sumPages } from './checksums.js';
import { StoreArgumentError, StoreError } from './errors.js';
import { blocksOf, type StoreDescription } from './manifest.js';
import { allocateRows, type RowBuffer, rowBytesOf } from './row-dtype.js';
import { maxBatch, orderRows } from './row-order.js';

/** A store being filled. Dispose it in any case; what was written without `publish` stays for the next writer. */
export class RowWriter implements AsyncDisposable {
  readonly url: string;
  readonly description: StoreDescription;
  readonly #sink: RowSink;
  readonly #range: RowRange | undefined;
  readonly #rowBytes: number;
  #buffer: RowBuffer;
  #capacity = 0;
  #queue: Promise<unknown> = Promise.resolve();
  #ended: 'published' | 'closed' | undefined;

  constructor(url: string, description: StoreDescription, sink: RowSink, range: RowRange | undefined) {
    this.url = url;
    this.description = description;
    this.#sink = sink;
    this.#range = range;
    this.#rowBytes = rowBytesOf(description.dtype, description.width);
    this.#buffer = allocateRows(description.dtype, description.width, 0);
  }

  /** Number of distinct rows that are there, those of earlier writers included. */
  get written(): number {
    return this.#sink.written.count;
  }

  /** Whether a row is there already. */
  has(id: number): boolean {
    return id >= 0 && id < this.description.rows && this.#sink.written.has(id);
  }

  /** The first row at or after `from` that is still to be written; -1 if there is none. */
  nextMissing(from = 0): number {
    return this.#sink.written.nextMissing(from);
  }

  /**
   * Writes rows; a row written again is replaced, of repeats within a call the last counts.
   * @param ids [n], any order
   * @param rows [n, width]; ids and rows must stay unchanged until the promise settles
   * @throws {StoreError} STORE_ARGUMENT: an id out of range, wrong lengths, a value that the dtype cannot hold (none of the call's rows is
   *   then written); STORE_DISK_FULL; STORE_IO; STORE_CLOSED
   */
  write(ids: Uint32Array, rows: Float32Array): Promise<void> {
    const { width } = this.description;
    return this.#writeInParts(ids, rows.length, width, (buffer, target, source) => {
      const beyond = buffer.encode(target, rows, source * width);
      if (beyond < 0) return;
      const value = `${rows[source * width + beyond]} at element ${beyond} of row ${ids[source]}`;
      const { dtype } = this.description;
      throw new StoreArgumentError(`write: ${value} is beyond the range of ${dtype}`, 'Create the store with dtype f32.');
    });
  }

  /**
   * Writes rows that are encoded already, as `readEncoded` of a store with the same dtype and width gives them.
   * @param ids [n], any order
   * @param rows [n * rowBytes]; ids and rows must stay unchanged until the promise settles
   * @throws {StoreError} as `write` does
   */
  writeEncoded(ids: Uint32Array, rows: Uint8Array): Promise<void> {
    const rowBytes = this.#rowBytes;
    return this.#writeInParts(ids, rows.length, rowBytes, ({ bytes }, target, source) => {
      bytes.set(rows.subarray(source * rowBytes, (source + 1) * rowBytes), target * rowBytes);
    });
  }

  /** @param place puts the caller's row `source` into the buffer's row `target` */
  #writeInParts(
    ids: Uint32Array,
    length: number,
    perRow: number,
    place: (buffer: RowBuffer, target: number, source: number) => void,
  ): Promise<void> {
    return this.#inTurn(async () => {
      this.#expectOpen();
      this.#expectRows(ids, length, perRow);
      for (let start = 0; start < ids.length; start += maxBatch) {
        await this.#writePart(ids.subarray(start, start + maxBatch), (target, source) => place(this.#buffer, target, start + source));
      }
    });
  }

  /**
   * Makes the whole store visible in one step, in the place of an older one. The writer takes no rows afterwards.
   * @throws {StoreError} STORE_INCOMPLETE if rows are missing; STORE_DISK_FULL; STORE_IO
   */
  publish(): Promise<void> {
    return this.#inTurn(async () => {
      this.#expectOpen();
      if (this.#range !== undefined) {
        const remedy = 'Close it, and publish with a writer of all rows: createStore without a range.';
        throw new StoreArgumentError(
          `publish: this writer of ${this.url} has only rows ${this.#range.from} to ${this.#range.to - 1}`,
          remedy,
        );
      }
      const { rows } = this.description;
      if (this.written < rows) {
        const missing = `${rows - this.written} of ${rows} rows are missing, the first is ${this.nextMissing()}`;
        throw new StoreError('STORE_INCOMPLETE', `${this.url}: ${missing}`, 'Write the missing rows, then publish.');
      }
      const checksums = new Uint32Array(blocksOf(this.description));
      await eachBlock(
        { ...this.description, rowBytes: this.#rowBytes },
        (ids, into) => this.#sink.readRows(ids, into),
        (block, sum) => {
          checksums[block] = sum;
        },
      );
      const pages = sumPages(checksums);
      const fingerprint = await fingerprintOf(this.description, pages);
      await this.#sink.publish({ ...this.description, rowBytes: this.#rowBytes, checksums: pages, fingerprint }, checksums);
      this.#ended = 'published';
    });
  }

  /** Ends the work; unpublished rows stay, invisible, for a later writer of the same URL and description. */
  close(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#ended === 'closed') return;
      this.#ended = 'closed';
      await this.#sink.close();
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#queue.then(work);
    this.#queue = turn.catch(() => {}); // its caller gets the error; the next in line starts all the same
    return turn;
  }

  #expectOpen(): void {
    if (this.#ended === undefined) return;
    throw new StoreError('STORE_CLOSED', `the writer of ${this.url} is ${this.#ended}`, 'Create the store again to write more.');
  }

  #expectRows(ids: Uint32Array, length: number, perRow: number): void {
    const { rows } = this.description;
    const { from, to } = this.#range ?? { from: 0, to: rows };
    if (length !== ids.length * perRow) {
      const expected = `[${ids.length}, ${perRow}] = ${ids.length * perRow}`;
      throw new StoreArgumentError(`write: rows has ${length} elements, expected ${expected}`, 'Give one row per id.');
    }
    for (let i = 0; i < ids.length; i += 1) {
      if (ids[i]! >= from && ids[i]! < to) continue;
      throw new StoreArgumentError(
        `write: ids[${i}] is ${ids[i]}, this writer of ${this.url} takes rows ${from} to ${to - 1}`,
        this.#range === undefined ? 'Create the store with more rows.' : 'Give the row to the writer of its range.',
      );
    }
  }

  async #writePart(ids: Uint32Array, place: (target: number, source: number) => void): Promise<void> {
    const { dtype, width } = this.description;
    if (ids.length > this.#capacity) {
      this.#capacity = ids.length;
      this.#buffer = allocateRows(dtype, width, ids.length);
    }
    const { unique, sources, targets } = orderRows(ids);
    for (let i = 0; i < sources.length; i += 1) place(targets[i]!, sources[i]!);
    await this.#sink.writeRows(unique, this.#buffer.bytes.subarray(0, unique.length * this.#rowBytes));
  }
}
