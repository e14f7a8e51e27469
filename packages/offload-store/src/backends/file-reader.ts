/**
 * Reading a file store: neighbouring ids become one positional read; synchronous while the page cache answers, many reads in
 * flight once the disk has to.
 */
import { read as readCallback, readSync } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { readManifest } from '@sconelm/artifact';
import type { RowReader } from '../backend.js';
import { asStoreError, CorruptStoreError, StoreError, withStoreErrors } from '../errors.js';
import { manifestSchema, type StoreManifest } from '../manifest.js';
import { runLength } from '../row-order.js';
import { type FileLayout, layoutOf, manifestHead } from './file-layout.js';
import { Pace } from './pace.js';

/** More in flight than UV_THREADPOOL_SIZE only wait in a queue; 16 fills a pool that has been widened. */
const readsInFlight = 16;

export function openFileReader(location: string): Promise<RowReader> {
  const layout = layoutOf(location);
  return withStoreErrors(layout.directory, async () => {
    const { manifest, file } = await openConsistently(layout);
    return new FileReader(layout.rows, manifest, file);
  });
}

/** Manifest and rows of the same generation, though a publisher may replace the folder at any time. */
async function openConsistently(layout: FileLayout): Promise<{ manifest: StoreManifest; file: FileHandle }> {
  for (let attempt = 1; attempt <= 10; attempt += 1) {
    const manifest = await readManifest(layout.manifest, { ...manifestHead, schema: manifestSchema });
    const before = await identityOf(layout.manifest);
    const isStill = async (): Promise<boolean> => {
      const again = await readManifest(layout.manifest, { ...manifestHead, schema: manifestSchema });
      return before === (await identityOf(layout.manifest)) && JSON.stringify(manifest) === JSON.stringify(again);
    };
    const file = await openRows(layout, isStill);
    if (file === undefined) continue;
    try {
      if (await isStill()) {
        await expectSize(layout.rows, file, manifest);
        return { manifest, file };
      }
    } catch (error) {
      await file.close();
      throw error;
    }
    await file.close();
  }
  throw new StoreError('STORE_IO', `${layout.directory} is replaced again and again`, 'Open it when its writers have ended.');
}

/** The open file of rows; undefined if there is none because the store is being replaced. */
async function openRows({ rows }: FileLayout, isStill: () => Promise<boolean>): Promise<FileHandle | undefined> {
  try {
    return await open(rows);
  } catch (cause) {
    const error = asStoreError(cause, rows);
    if (!(error instanceof StoreError && error.code === 'STORE_MISSING')) throw error;
    if (await isStill()) throw new CorruptStoreError(`${rows} is missing beside its manifest`);
    return undefined;
  }
}

async function identityOf(path: string): Promise<string> {
  const { dev, ino, mtimeMs, size } = await stat(path);
  return `${dev}:${ino}:${mtimeMs}:${size}`;
}

/** @throws {CorruptStoreError} if the file is not as long as its rows */
async function expectSize(path: string, file: FileHandle, { rows, rowBytes }: StoreManifest): Promise<void> {
  const { size } = await file.stat();
  if (size !== rows * rowBytes)
    throw new CorruptStoreError(`${path} has ${size} bytes, expected ${rows} rows of ${rowBytes} = ${rows * rowBytes}`);
}

class FileReader implements RowReader {
  readonly manifest: StoreManifest;
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #pace = new Pace();

  constructor(path: string, manifest: StoreManifest, file: FileHandle) {
    this.#path = path;
    this.manifest = manifest;
    this.#file = file;
  }

  readRows(ids: Uint32Array, into: Uint8Array, signal: AbortSignal | undefined): void | Promise<void> {
    const { rowBytes } = this.manifest;
    for (let start = 0; start < ids.length; ) {
      const count = runLength(ids, start);
      const bytes = count * rowBytes;
      this.#pace.time(bytes, () => this.#readSync(into, start * rowBytes, bytes, ids[start] * rowBytes));
      start += count;
      if (this.#pace.isSlow && start < ids.length) return this.#readAtOnce(ids.subarray(start), into.subarray(start * rowBytes), signal);
    }
  }

  /** Many reads in flight, for the disk. */
  async #readAtOnce(ids: Uint32Array, into: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    const { rowBytes } = this.manifest;
    let next = 0;
    const work = async () => {
      while (next < ids.length) {
        signal?.throwIfAborted();
        const start = next;
        const count = runLength(ids, start);
        next += count;
        await this.#read(into, start * rowBytes, count * rowBytes, ids[start] * rowBytes);
      }
    };
    // All settle before any failure is told: `into` is not touched after that.
    const outcomes = await Promise.allSettled(Array.from({ length: readsInFlight }, work));
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  #readSync(into: Uint8Array, offset: number, bytes: number, position: number): void {
    try {
      for (let done = 0; done < bytes; ) {
        done += this.#expectSome(readSync(this.#file.fd, into, offset + done, bytes - done, position + done), position + done);
      }
    } catch (error) {
      throw asStoreError(error, this.#path);
    }
  }

  async #read(into: Uint8Array, offset: number, bytes: number, position: number): Promise<void> {
    for (let done = 0; done < bytes; ) {
      const read = await new Promise<number>((resolve, reject) => {
        readCallback(this.#file.fd, into, offset + done, bytes - done, position + done, (error, got) =>
          error === null ? resolve(got) : reject(asStoreError(error, this.#path)),
        );
      });
      done += this.#expectSome(read, position + done);
    }
  }

  /** A read may give less than it was asked for; it gives nothing only at the end of the file. */
  #expectSome(read: number, position: number): number {
    if (read > 0) return read;
    throw new CorruptStoreError(
      `${this.#path} ends before byte ${position} (row ${Math.floor(position / this.manifest.rowBytes)}): it was cut short`,
    );
  }

  close(): Promise<void> {
    return withStoreErrors(this.#path, () => this.#file.close());
  }
}
