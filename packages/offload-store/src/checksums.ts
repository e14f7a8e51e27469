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
  visit: (block: number, sum: number) => void | Promise<void>,
): Promise<void> {
  const capacity = Math.min(blockRows, rows);
  const ids = new Uint32Array(capacity);
  const bytes = new Uint8Array(capacity * rowBytes);
  let rested = performance.now();
  for (let first = 0; first < rows; first += blockRows) {
    const count = Math.min(blockRows, rows - first);
    for (let i = 0; i < count; i += 1) ids[i] = first + i;
    await readRows(ids.subarray(0, count), bytes.subarray(0, count * rowBytes));
    await visit(first / blockRows, crc32(bytes.subarray(0, count * rowBytes)));
    if (performance.now() - rested < 10) continue;
    await new Promise((resolve) => setTimeout(resolve)); // a long verification leaves room for others
    rested = performance.now();
  }
}

/** Checksums that one checksum of the manifest covers: 64 KiB of them. */
const PAGE = 2 ** 14;

/** The checksums of the checksums, for the manifest: what a reader believes begins there. @param checksums one per block */
export function sumPages(checksums: Uint32Array): number[] {
  return Array.from({ length: Math.ceil(checksums.length / PAGE) }, (_, page) => crc32(bytesOf(pageOf(checksums, page))));
}

const pageOf = (checksums: Uint32Array, page: number): Uint32Array => checksums.subarray(page * PAGE, (page + 1) * PAGE);
const bytesOf = ({ buffer, byteOffset, byteLength }: Uint32Array): Uint8Array => new Uint8Array(buffer, byteOffset, byteLength);

/** SHA-256 of what a store is and of the checksums of its checksums, in hexadecimal. */
export async function fingerprintOf(description: StoreDescription, pages: readonly number[]): Promise<string> {
  const { rows, width, dtype, blockRows, binding } = description;
  const parts = [rows, width, dtype, blockRows, Object.entries(binding).sort(([a], [b]) => (a < b ? -1 : 1)), pages];
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(JSON.stringify(parts))));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** The checksums of a store's blocks, a page at a time, each checked against the manifest when it is read. */
export class Checksums {
  readonly #url: string;
  readonly #reader: RowReader;
  readonly #pages = new Map<number, Promise<Uint32Array>>();
  /** By block: whether it has matched. Made when the first one does. */
  #matched: Uint8Array | undefined;
  #verifiedRows = 0;

  constructor(url: string, reader: RowReader) {
    this.#url = url;
    this.#reader = reader;
  }

  /** Rows of the blocks that have matched so far. */
  get verifiedRows(): number {
    return this.#verifiedRows;
  }

  /** A block was read and its checksum is the one it should be. */
  confirm(block: number): void {
    const { rows, blockRows } = this.#reader.manifest;
    this.#matched ??= new Uint8Array(blocksOf(this.#reader.manifest));
    if (this.#matched[block] === 1) return;
    this.#matched[block] = 1;
    this.#verifiedRows += Math.min(blockRows, rows - block * blockRows);
  }

  /** @throws {CorruptStoreError} if the page is not the manifest's; whatever the reader throws */
  async of(block: number): Promise<number> {
    const page = Math.floor(block / PAGE);
    let reading = this.#pages.get(page);
    if (reading === undefined) {
      reading = this.#readPage(page);
      this.#pages.set(page, reading);
      reading.catch(() => this.#pages.delete(page)); // another read may have more luck
    }
    return (await reading)[block - page * PAGE]!;
  }

  async #readPage(page: number): Promise<Uint32Array> {
    const { manifest } = this.#reader;
    const sums = new Uint32Array(Math.min(PAGE, blocksOf(manifest) - page * PAGE));
    // Not given up when one reader of the page is: others may wait for it.
    await this.#reader.readChecksums(page * PAGE, sums, undefined);
    if (crc32(bytesOf(sums)) !== manifest.checksums[page]) {
      throw new CorruptStoreError(`${this.#url}: the checksums from block ${page * PAGE} on are not those of the manifest`);
    }
    return sums;
  }
}

/** @param blocks at least one */
export function damagedBlocks(url: string, { rows, blockRows }: BlockForm, blocks: readonly number[]): CorruptStoreError {
  const ranges = blocks.map((block) => ({ from: block * blockRows, to: Math.min((block + 1) * blockRows, rows) }));
  const { from, to } = ranges[0]!;
  const others = blocks.length === 1 ? 'does' : `and ${blocks.length - 1} more do`;
  const message = `${url}: block ${blocks[0]} (rows ${from} to ${to - 1}) ${others} not match its checksum`;
  return new CorruptStoreError(message, undefined, undefined, ranges);
}
