/** One CRC-32 per block of rows: made when a store is published, compared by `verify` or at the first touch of a block. */

import { crc32 } from '@sconelm/artifact/portable';
import type { RowReader } from './backend.js';
import { CorruptStoreError } from './errors.js';
import { blocksOf, type StoreDescription, type StoreManifest } from './manifest.js';

type BlockForm = Pick<StoreManifest, 'rows' | 'rowBytes' | 'blockRows'>;

/** Reads all rows block by block, in order, and gives each block's CRC-32 to `visit`. */
export async function eachBlock(
  { rows, rowBytes, blockRows }: BlockForm,
  readRows: (ids: Uint32Array, into: Uint8Array) => void | Promise<void>,
  visit: (block: number, sum: number) => void,
): Promise<void> {
  const capacity = Math.min(blockRows, rows);
  const ids = new Uint32Array(capacity);
  const bytes = new Uint8Array(capacity * rowBytes);
  let rested = performance.now();
  for (let first = 0; first < rows; first += blockRows) {
    const count = Math.min(blockRows, rows - first);
    for (let i = 0; i < count; i += 1) ids[i] = first + i;
    await readRows(ids.subarray(0, count), bytes.subarray(0, count * rowBytes));
    visit(first / blockRows, crc32(bytes.subarray(0, count * rowBytes)));
    if (performance.now() - rested < 10) continue;
    await new Promise((resolve) => setTimeout(resolve)); // a long verification leaves room for others
    rested = performance.now();
  }
}

/** SHA-256 of what a store is and of its rows' checksums, in hexadecimal. */
export async function fingerprintOf(description: StoreDescription, checksums: Uint32Array): Promise<string> {
  const { rows, width, dtype, blockRows, binding } = description;
  const parts = [rows, width, dtype, blockRows, Object.entries(binding).sort(([a], [b]) => (a < b ? -1 : 1))];
  const head = new TextEncoder().encode(JSON.stringify(parts));
  const bytes = new Uint8Array(head.length + checksums.byteLength);
  bytes.set(head);
  bytes.set(new Uint8Array(checksums.buffer, checksums.byteOffset, checksums.byteLength), head.length);
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export function damagedBlock(url: string, { rows, blockRows }: BlockForm, block: number): CorruptStoreError {
  const first = block * blockRows;
  const last = Math.min(first + blockRows, rows) - 1;
  return new CorruptStoreError(`${url}: block ${block} (rows ${first} to ${last}) does not match its checksum`);
}

/**
 * Reads rows through their blocks until each block was found whole once; afterwards rows are read alone.
 * For media that damage in passing, and for stores that nobody has verified.
 */
export class BlockChecks {
  readonly #url: string;
  readonly #reader: RowReader;
  readonly #whole: Uint8Array;

  constructor(url: string, reader: RowReader) {
    this.#url = url;
    this.#reader = reader;
    this.#whole = new Uint8Array(blocksOf(reader.manifest));
  }

  /** The same form as `readRows` of a backend. @throws {CorruptStoreError} naming the block */
  readRows(ids: Uint32Array, into: Uint8Array, signal: AbortSignal | undefined): void | Promise<void> {
    const { blockRows } = this.#reader.manifest;
    for (let i = 0; i < ids.length; i += 1) {
      if (this.#whole[Math.floor(ids[i]! / blockRows)] === 0) return this.#readThroughBlocks(ids, into, signal);
    }
    return this.#reader.readRows(ids, into, signal);
  }

  async #readThroughBlocks(ids: Uint32Array, into: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    const { rows, rowBytes, blockRows } = this.#reader.manifest;
    const known: number[] = [];
    let bytes = new Uint8Array(0);
    for (let start = 0; start < ids.length; ) {
      const block = Math.floor(ids[start]! / blockRows);
      let end = start + 1;
      while (end < ids.length && Math.floor(ids[end]! / blockRows) === block) end += 1;
      if (this.#whole[block] === 1) for (let i = start; i < end; i += 1) known.push(i);
      else {
        const first = block * blockRows;
        const count = Math.min(blockRows, rows - first);
        if (bytes.length < count * rowBytes) bytes = new Uint8Array(count * rowBytes);
        const own = bytes.subarray(0, count * rowBytes);
        const sum = new Uint32Array(1);
        const blockIds = Uint32Array.from({ length: count }, (_, i) => first + i);
        await Promise.all([this.#reader.readRows(blockIds, own, signal), this.#reader.readChecksums(block, sum, signal)]);
        if (crc32(own) !== sum[0]) throw damagedBlock(this.#url, this.#reader.manifest, block);
        this.#whole[block] = 1;
        for (let i = start; i < end; i += 1) {
          const at = (ids[i]! - first) * rowBytes;
          into.set(own.subarray(at, at + rowBytes), i * rowBytes);
        }
      }
      start = end;
    }
    if (known.length === 0) return;
    const rest = new Uint8Array(known.length * rowBytes);
    await this.#reader.readRows(
      Uint32Array.from(known, (i) => ids[i]!),
      rest,
      signal,
    );
    known.forEach((i, k) => {
      into.set(rest.subarray(k * rowBytes, (k + 1) * rowBytes), i * rowBytes);
    });
  }
}
