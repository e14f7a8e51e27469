/** Rows read through their blocks, whose checksums are compared: once per block, or every time with the blocks kept in bounded memory. */

import { crc32 } from '@sconelm/artifact/portable';
import type { RowReader } from './backend.js';
import { type Checksums, damagedBlocks } from './checksums.js';
import type { RowSource } from './hot-rows.js';

/** Bytes of blocks that are read at a time. */
const GROUP_BYTES = 2 ** 24;

const GOOD = 1;
const DAMAGED = 2;

/**
 * Reads a block whole when one of its rows is first wanted. On a medium that holds still the block is known to be good or damaged from then on; rows
 * of good ones are read alone.
 */
export class FirstTouchRows implements RowSource {
  readonly #url: string;
  readonly #reader: RowReader;
  readonly #blocks: CheckedBlocks;
  /** By block; 0 where nothing is known. */
  readonly #states: Uint8Array;

  constructor(url: string, reader: RowReader, checksums: Checksums) {
    this.#url = url;
    this.#reader = reader;
    this.#blocks = new CheckedBlocks(reader, checksums);
    this.#states = new Uint8Array(Math.ceil(reader.manifest.rows / reader.manifest.blockRows));
  }

  readRows(ids: Uint32Array, into: Uint8Array, signal: AbortSignal | undefined): void | Promise<void> {
    const { blockRows } = this.#reader.manifest;
    const touched: number[] = [];
    const damaged: number[] = [];
    for (const id of ids) {
      const block = Math.floor(id / blockRows);
      if (this.#states[block] === 0 && touched.at(-1) !== block) touched.push(block);
      if (this.#states[block] === DAMAGED && damaged.at(-1) !== block) damaged.push(block);
    }
    if (damaged.length > 0) throw damagedBlocks(this.#url, this.#reader.manifest, damaged);
    return touched.length === 0 ? this.#reader.readRows(ids, into, signal) : this.#touch(touched, ids, into, signal);
  }

  async #touch(blocks: readonly number[], ids: Uint32Array, into: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    const damaged = await this.#blocks.each(blocks, signal, (block) => {
      this.#states[block] = GOOD;
    });
    for (const block of damaged) this.#states[block] = DAMAGED;
    if (damaged.length > 0) throw damagedBlocks(this.#url, this.#reader.manifest, damaged);
    await this.#reader.readRows(ids, into, signal);
  }
}

/** For media that may change or damage rows in passing: every byte that is given out was in a block that matched its checksum. */
export class AlwaysCheckedRows implements RowSource {
  readonly #url: string;
  readonly #reader: RowReader;
  readonly #blocks: CheckedBlocks;
  readonly #capacity: number;
  /** Oldest use first. */
  readonly #kept = new Map<number, Uint8Array>();

  /** @param cacheBytes bytes of blocks that are kept */
  constructor(url: string, reader: RowReader, checksums: Checksums, cacheBytes: number) {
    this.#url = url;
    this.#reader = reader;
    this.#blocks = new CheckedBlocks(reader, checksums);
    this.#capacity = Math.floor(cacheBytes / (reader.manifest.blockRows * reader.manifest.rowBytes));
  }

  readRows(ids: Uint32Array, into: Uint8Array, signal: AbortSignal | undefined): void | Promise<void> {
    const { blockRows } = this.#reader.manifest;
    const missing: number[] = [];
    for (let at = 0; at < ids.length; ) {
      const block = Math.floor(ids[at]! / blockRows);
      const end = placeOf(ids, at, (block + 1) * blockRows);
      const bytes = this.#kept.get(block);
      if (bytes === undefined) missing.push(block);
      else {
        this.#keep(block, bytes);
        this.#copy(block, bytes, ids, at, end, into);
      }
      at = end;
    }
    if (missing.length > 0) return this.#fetch(missing, ids, into, signal);
  }

  async #fetch(blocks: readonly number[], ids: Uint32Array, into: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    const { blockRows } = this.#reader.manifest;
    let at = 0;
    const damaged = await this.#blocks.each(blocks, signal, (block, bytes) => {
      const start = placeOf(ids, at, block * blockRows);
      at = placeOf(ids, start, (block + 1) * blockRows);
      this.#copy(block, bytes, ids, start, at, into);
      if (this.#capacity > 0) this.#keep(block, bytes.slice());
    });
    if (damaged.length > 0) throw damagedBlocks(this.#url, this.#reader.manifest, damaged);
  }

  /** Copies the rows `ids[start]` to `ids[end - 1]` of a block. */
  #copy(block: number, bytes: Uint8Array, ids: Uint32Array, start: number, end: number, into: Uint8Array): void {
    const { blockRows, rowBytes } = this.#reader.manifest;
    for (let i = start; i < end; i += 1) {
      const from = (ids[i]! - block * blockRows) * rowBytes;
      into.set(bytes.subarray(from, from + rowBytes), i * rowBytes);
    }
  }

  #keep(block: number, bytes: Uint8Array): void {
    this.#kept.delete(block);
    this.#kept.set(block, bytes);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= this.#capacity) break;
      this.#kept.delete(oldest);
    }
  }
}

/** The index from `at` on of the first id that is not below `row`. */
function placeOf(ids: Uint32Array, at: number, row: number): number {
  let end = at;
  while (end < ids.length && ids[end]! < row) end += 1;
  return end;
}

class CheckedBlocks {
  readonly #reader: RowReader;
  readonly #checksums: Checksums;

  constructor(reader: RowReader, checksums: Checksums) {
    this.#reader = reader;
    this.#checksums = checksums;
  }

  /**
   * Reads whole blocks, many in one call of the backend, so that neighbours come together; memory is bounded.
   * @param blocks ascending
   * @param visit gets those that match their checksums, in order; the bytes are good until it returns
   * @returns those that do not match
   */
  async each(
    blocks: readonly number[],
    signal: AbortSignal | undefined,
    visit: (block: number, bytes: Uint8Array) => void,
  ): Promise<number[]> {
    const { rows, rowBytes, blockRows } = this.#reader.manifest;
    const damaged: number[] = [];
    const step = Math.max(1, Math.floor(GROUP_BYTES / (blockRows * rowBytes)));
    for (let start = 0; start < blocks.length; start += step) {
      const group = blocks.slice(start, start + step);
      const ids = group.flatMap((block) =>
        Array.from({ length: Math.min(blockRows, rows - block * blockRows) }, (_, i) => block * blockRows + i),
      );
      const bytes = new Uint8Array(ids.length * rowBytes);
      const [sums] = await Promise.all([
        Promise.all(group.map((block) => this.#checksums.of(block))),
        this.#reader.readRows(Uint32Array.from(ids), bytes, signal),
      ]);
      group.forEach((block, i) => {
        const own = bytes.subarray(i * blockRows * rowBytes, (i + 1) * blockRows * rowBytes); // only the store's last block is shorter
        if (crc32(own) === sums[i]) {
          this.#checksums.confirm(block);
          visit(block, own);
        } else damaged.push(block);
      });
    }
    return damaged;
  }
}
