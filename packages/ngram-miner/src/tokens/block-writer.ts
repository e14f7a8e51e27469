/** Writes a file block by block and keeps each block's CRC-32. */
import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { defaultBlockBytes } from '@sconelm/artifact';

export class BlockWriter {
  readonly sums: number[] = [];
  readonly #file: FileHandle;
  readonly #block = Buffer.alloc(defaultBlockBytes);
  #filled = 0;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Returns a promise only where a block became full. */
  write(bytes: Uint8Array): Promise<void> | undefined {
    if (this.#filled + bytes.length < this.#block.length) {
      this.#block.set(bytes, this.#filled);
      this.#filled += bytes.length;
      return undefined;
    }
    return this.#writeBlocks(bytes);
  }

  async #writeBlocks(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + this.#block.length - this.#filled);
      this.#block.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === this.#block.length) await this.flush();
    }
  }

  /** Writes the last, shorter block. */
  async flush(): Promise<void> {
    if (this.#filled === 0) return;
    const block = this.#block.subarray(0, this.#filled);
    this.sums.push(crc32(block));
    await this.#file.writeFile(block);
    this.#filled = 0;
  }
}
