/** Rows read through their blocks, whose checksums are compared: once per block, or every time with the blocks kept in bounded memory. */

import { crc32 } from '@sconelm/artifact/portable';
import type { RowReader } from './backend.js';
import { type Checksums, damagedBlock } from './checksums.js';
import type { RowSource } from './hot-rows.js';

/**
 * Reads a block whole when one of its rows is first wanted. On a medium that holds still the block is known to be good from then on, and rows are
 * read alone.
 */
export class FirstTouchRows implements RowSource {
  readonly #reader: RowReader;
  readonly #blocks: CheckedBlocks;
  readonly #good: Uint8Array;

  constructor(url: string, reader: RowReader, checksums: Checksums) {
    this.#reader = reader;
    this.#blocks = new CheckedBlocks(url, reader, checksums);
    this.#good = new Uint8Array(Math.ceil(reader.manifest.rows / reader.manifest.blockRows));
  }

  readRows(ids: Uint32Array, into: Uint8Array, signal: AbortSignal | undefined): void | Promise<void> {
    const { blockRows } = this.#reader.manifest;
    const touched: number[] = [];
    for (const id of ids) {
      const block = Math.floor(id / blockRows);
      if (this.#good[block] === 0 && touched.at(-1) !== block) touched.push(block);
    }
    return touched.length === 0 ? this.#reader.readRows(ids, into, signal) : this.#touch(touched, ids, into, signal);
  }

  async #touch(blocks: readonly number[], ids: Uint32Array, into: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    await this.#blocks.read(blocks, signal);
    for (const block of blocks) this.#good[block] = 1;
    await this.#reader.readRows(ids, into, signal);
  }
}

/** For media that may change or damage rows in passing: every byte that is given out was in a block that matched its checksum. */
export class AlwaysCheckedRows implements RowSource {
  readonly #reader: RowReader;
  readonly #blocks: CheckedBlocks;
  readonly #capacity: number;
  /** Oldest use first. */
  readonly #kept = new Map<number, Uint8Array>();

  /** @param cacheBytes bytes of blocks that are kept */
  constructor(url: string, reader: RowReader, checksums: Checksums, cacheBytes: number) {
    this.#reader = reader;
    this.#blocks = new CheckedBlocks(url, reader, checksums);
    this.#capacity = Math.floor(cacheBytes / (reader.manifest.blockRows * reader.manifest.rowBytes));
  }

  readRows(ids: Uint32Array, into: Uint8Array, signal: AbortSignal | undefined): void | Promise<void> {
    const { blockRows } = this.#reader.manifest;
    const found = new Map<number, Uint8Array>();
    const missing: number[] = [];
    for (const block of new Set(Array.from(ids, (id) => Math.floor(id / blockRows)))) {
      const bytes = this.#kept.get(block);
      if (bytes === undefined) missing.push(block);
      else {
        this.#kept.delete(block);
        this.#kept.set(block, bytes);
        found.set(block, bytes);
      }
    }
    if (missing.length === 0) return this.#copy(ids, found, into);
    return this.#blocks.read(missing, signal).then((blocks) => {
      missing.forEach((block, i) => {
        found.set(block, blocks[i]!);
        if (this.#capacity > 0) this.#kept.set(block, blocks[i]!.slice());
      });
      this.#copy(ids, found, into);
      for (const block of this.#kept.keys()) {
        if (this.#kept.size <= this.#capacity) break;
        this.#kept.delete(block);
      }
    });
  }

  #copy(ids: Uint32Array, blocks: ReadonlyMap<number, Uint8Array>, into: Uint8Array): void {
    const { blockRows, rowBytes } = this.#reader.manifest;
    ids.forEach((id, i) => {
      const block = Math.floor(id / blockRows);
      const at = (id - block * blockRows) * rowBytes;
      into.set(blocks.get(block)!.subarray(at, at + rowBytes), i * rowBytes);
    });
  }
}

class CheckedBlocks {
  readonly #url: string;
  readonly #reader: RowReader;
  readonly #checksums: Checksums;

  constructor(url: string, reader: RowReader, checksums: Checksums) {
    this.#url = url;
    this.#reader = reader;
    this.#checksums = checksums;
  }

  /** The bytes of whole blocks, in one call of the backend, so that neighbours come together. @param blocks ascending @throws {CorruptStoreError} */
  async read(blocks: readonly number[], signal: AbortSignal | undefined): Promise<Uint8Array[]> {
    const { rows, rowBytes, blockRows } = this.#reader.manifest;
    const ids = blocks.flatMap((block) =>
      Array.from({ length: Math.min(blockRows, rows - block * blockRows) }, (_, i) => block * blockRows + i),
    );
    const bytes = new Uint8Array(ids.length * rowBytes);
    const [sums] = await Promise.all([
      Promise.all(blocks.map((block) => this.#checksums.of(block))),
      this.#reader.readRows(Uint32Array.from(ids), bytes, signal),
    ]);
    return blocks.map((block, i) => {
      const own = bytes.subarray(i * blockRows * rowBytes, (i + 1) * blockRows * rowBytes); // only the store's last block is shorter
      if (crc32(own) !== sums[i]) throw damagedBlock(this.#url, this.#reader.manifest, block);
      return own;
    });
  }
}
