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
    const file = await open(layout.rows).catch((error: unknown) => asStoreError(error, layout.rows));
    const again = await readManifest(layout.manifest, { ...manifestHead, schema: manifestSchema });
    const unchanged = before === (await identityOf(layout.manifest)) && JSON.stringify(manifest) === JSON.stringify(again);
    if (unchanged && !isFile(file)) throw missingRows(layout, file);
    try {
      if (unchanged && isFile(file)) {
        await expectSize(layout.rows, file, manifest);
        return { manifest, file };
      }
    } catch (error) {
      if (isFile(file)) await file.close();
      throw error;
    }
    if (isFile(file)) await file.close();
  }
  throw new StoreError('STORE_IO', `${layout.directory} is replaced again and again`, 'Open it when its writers have ended.');
}

function isFile(file: unknown): file is FileHandle {
  return typeof file === 'object' && file !== null && 'fd' in file;
}

function missingRows({ rows }: FileLayout, error: unknown): unknown {
  return error instanceof StoreError && error.code === 'STORE_MISSING'
    ? new CorruptStoreError(`${rows} is missing beside its manifest`)
    : error;
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
      const read = this.#pace.time(bytes, () => readSync(this.#file.fd, into, start * rowBytes, bytes, ids[start] * rowBytes));
      this.#expectAll(read, bytes, ids[start]);
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
        const bytes = count * rowBytes;
        const read = await new Promise<number>((resolve, reject) => {
          readCallback(this.#file.fd, into, start * rowBytes, bytes, ids[start] * rowBytes, (error, got) =>
            error === null ? resolve(got) : reject(asStoreError(error, this.#path)),
          );
        });
        this.#expectAll(read, bytes, ids[start]);
      }
    };
    // All settle before any failure is told: `into` is not touched after that.
    const outcomes = await Promise.allSettled(Array.from({ length: readsInFlight }, work));
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  #expectAll(read: number, bytes: number, first: number): void {
    if (read !== bytes) throw new CorruptStoreError(`${this.#path}: ${read} of ${bytes} bytes at row ${first}; the file was cut short`);
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
