/** The data files of an unfinished store: ranges of rows by their place, over the ends of files. */
import { type FileHandle, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { CorruptStoreError } from '../errors.js';
import { runLength } from '../row-order.js';

/** Ranges of rows, flat: first, rows, first, rows, ... */
export type Ranges = readonly number[];

/** @param ids unique, ascending */
export function rangesOf(ids: Uint32Array): number[] {
  const ranges: number[] = [];
  for (let start = 0; start < ids.length; ) {
    const count = runLength(ids, start);
    ranges.push(ids[start], count);
    start += count;
  }
  return ranges;
}

/** Bytes of one file. */
interface Part {
  readonly file: FileHandle;
  readonly position: number;
  readonly bytes: number;
  /** Where they stand among the bytes of all ranges. */
  readonly at: number;
}

/** Bytes that are read at a time where the rows are not wanted themselves. */
const CHUNK_BYTES = 2 ** 20;

export class DataFiles {
  readonly #paths: readonly string[];
  readonly #files: readonly FileHandle[];
  readonly #rowBytes: number;
  readonly #shardRows: number;

  private constructor(paths: readonly string[], files: readonly FileHandle[], rowBytes: number, shardRows: number) {
    this.#paths = paths;
    this.#files = files;
    this.#rowBytes = rowBytes;
    this.#shardRows = shardRows;
  }

  static async open(paths: readonly string[], rowBytes: number, shardRows: number): Promise<DataFiles> {
    const files: FileHandle[] = [];
    try {
      for (const path of paths) files.push(await open(path, 'r+'));
      return new DataFiles(paths, files, rowBytes, shardRows);
    } catch (error) {
      for (const file of files) await file.close();
      throw error;
    }
  }

  #partsOf(ranges: Ranges): Part[] {
    const [shardRows, rowBytes] = [this.#shardRows, this.#rowBytes];
    const parts: Part[] = [];
    let at = 0;
    for (let i = 0; i < ranges.length; i += 2) {
      const end = ranges[i] + ranges[i + 1];
      for (let first = ranges[i]; first < end; ) {
        const shard = Math.floor(first / shardRows);
        const count = Math.min(end, (shard + 1) * shardRows) - first;
        parts.push({ file: this.#files[shard], position: (first - shard * shardRows) * rowBytes, bytes: count * rowBytes, at });
        at += count * rowBytes;
        first += count;
      }
    }
    return parts;
  }

  async write(ranges: Ranges, rows: Uint8Array): Promise<void> {
    for (const { file, position, bytes, at } of this.#partsOf(ranges)) {
      for (let done = 0; done < bytes; ) done += (await file.write(rows, at + done, bytes - done, position + done)).bytesWritten;
    }
  }

  /** @throws {CorruptStoreError} if a file ends inside the rows */
  async read(ranges: Ranges, into: Uint8Array): Promise<void> {
    for (const part of this.#partsOf(ranges)) await this.#read(part, part.position, into.subarray(part.at, part.at + part.bytes));
  }

  async #read({ file }: Part, position: number, into: Uint8Array): Promise<void> {
    for (let done = 0; done < into.length; ) {
      const { bytesRead } = await file.read(into, done, into.length - done, position + done);
      if (bytesRead === 0) throw new CorruptStoreError(`${this.#paths[this.#files.indexOf(file)]} ends inside rows that are there`);
      done += bytesRead;
    }
  }

  /** CRC-32 of the rows one after the other. @returns undefined if some are not there */
  async sum(ranges: Ranges): Promise<number | undefined> {
    const chunk = new Uint8Array(CHUNK_BYTES);
    let sum = 0;
    try {
      for (const part of this.#partsOf(ranges)) {
        for (let done = 0; done < part.bytes; done += CHUNK_BYTES) {
          const bytes = chunk.subarray(0, Math.min(CHUNK_BYTES, part.bytes - done));
          await this.#read(part, part.position + done, bytes);
          sum = crc32(bytes, sum);
        }
      }
    } catch (error) {
      if (error instanceof CorruptStoreError) return undefined;
      throw error;
    }
    return sum;
  }

  /** Brings the files of these rows to the disk. */
  async sync(ranges: Ranges): Promise<void> {
    for (const file of new Set(this.#partsOf(ranges).map((part) => part.file))) await file.datasync();
  }

  async close(): Promise<void> {
    const closed = await Promise.allSettled(this.#files.map((file) => file.close()));
    const failed = closed.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }
}
