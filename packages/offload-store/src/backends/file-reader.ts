/**
 * Reading a file store: neighbouring ids become one positional read; synchronous while the page cache answers, many reads in
 * flight once the disk has to.
 */
import { read as readCallback, readSync } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readManifest } from '@sconelm/artifact';
import type { RowReader } from '../backend.js';
import { asStoreError, CorruptStoreError, StoreError, withStoreErrors } from '../errors.js';
import { blocksOf, manifestSchema, type StoreManifest } from '../manifest.js';
import { runLength } from '../row-order.js';
import { type FileLayout, layoutOf, shardFiles } from './file-layout.js';
import { CHECKSUMS_NAME, MANIFEST_NAME, manifestHead } from './folder-form.js';
import { Pace } from './pace.js';

/** More in flight than UV_THREADPOOL_SIZE only wait in a queue; 16 fills a pool that has been widened. */
const readsInFlight = 16;

export function openFileReader(location: string): Promise<RowReader> {
  const layout = layoutOf(location);
  return withStoreErrors(layout.directory, async () => {
    const { manifest, files, checksums } = await openConsistently(layout);
    return new FileReader(manifest, files, checksums);
  });
}

/** An open file of a known length. */
interface DataFile {
  readonly path: string;
  readonly handle: FileHandle;
}

interface Opened {
  readonly manifest: StoreManifest;
  readonly files: readonly DataFile[];
  readonly checksums: DataFile;
}

/** Manifest and files of the same generation, though a publisher may replace the folder at any time. All are opened now, for the same reason. */
async function openConsistently(layout: FileLayout): Promise<Opened> {
  const path = join(layout.directory, MANIFEST_NAME);
  for (let attempt = 1; attempt <= 10; attempt += 1) {
    const manifest = await readManifest(path, { ...manifestHead, schema: manifestSchema });
    const before = await identityOf(path);
    const opened: DataFile[] = [];
    let failure: unknown;
    try {
      for (const { name, bytes } of filesOf(layout, manifest)) opened.push({ path: name, handle: await openFile(name, bytes) });
    } catch (error) {
      failure = error;
    }
    let isUnchanged = false;
    try {
      const again = await readManifest(path, { ...manifestHead, schema: manifestSchema });
      isUnchanged = before === (await identityOf(path)) && JSON.stringify(manifest) === JSON.stringify(again);
      if (isUnchanged && failure !== undefined) throw failure;
      if (isUnchanged) return { manifest, files: opened.slice(1), checksums: opened[0] };
    } finally {
      if (!isUnchanged || failure !== undefined) await closeAll(opened);
    }
  }
  throw new StoreError('STORE_IO', `${layout.directory} is replaced again and again`, 'Open it when its writers have ended.');
}

function filesOf({ directory }: FileLayout, manifest: StoreManifest): { readonly name: string; readonly bytes: number }[] {
  const { rows, rowBytes, shardRows } = manifest;
  const shards = shardFiles(directory, manifest).map((name, shard) => ({
    name,
    bytes: Math.min(shardRows, rows - shard * shardRows) * rowBytes,
  }));
  return [{ name: join(directory, CHECKSUMS_NAME), bytes: blocksOf(manifest) * 4 }, ...shards];
}

/** @throws {CorruptStoreError} if the file is missing or not as long as it should be */
async function openFile(path: string, bytes: number): Promise<FileHandle> {
  const file = await open(path).catch((error: unknown) => {
    const known = asStoreError(error, path);
    throw known instanceof StoreError && known.code === 'STORE_MISSING'
      ? new CorruptStoreError(`${path} is missing beside its manifest`)
      : known;
  });
  try {
    const { size } = await file.stat();
    if (size !== bytes) throw new CorruptStoreError(`${path} has ${size} bytes, expected ${bytes}`);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function identityOf(path: string): Promise<string> {
  const { dev, ino, mtimeMs, size } = await stat(path);
  return `${dev}:${ino}:${mtimeMs}:${size}`;
}

/** Neighbouring rows of one file. */
interface Run {
  readonly file: DataFile;
  readonly position: number;
  readonly bytes: number;
  readonly count: number;
  readonly first: number;
}

class FileReader implements RowReader {
  readonly manifest: StoreManifest;
  readonly #files: readonly DataFile[];
  readonly #checksums: DataFile;
  readonly #pace = new Pace();

  constructor(manifest: StoreManifest, files: readonly DataFile[], checksums: DataFile) {
    this.manifest = manifest;
    this.#files = files;
    this.#checksums = checksums;
  }

  #runAt(ids: Uint32Array, start: number): Run {
    const { rowBytes, shardRows } = this.manifest;
    const first = ids[start];
    const shard = Math.floor(first / shardRows);
    const count = Math.min(runLength(ids, start), (shard + 1) * shardRows - first);
    return { file: this.#files[shard], position: (first - shard * shardRows) * rowBytes, bytes: count * rowBytes, count, first };
  }

  readRows(ids: Uint32Array, into: Uint8Array, signal: AbortSignal | undefined): void | Promise<void> {
    const { rowBytes } = this.manifest;
    for (let start = 0; start < ids.length; ) {
      const { file, position, bytes, count, first } = this.#runAt(ids, start);
      const at = start * rowBytes;
      try {
        for (let done = 0; done < bytes; ) {
          const read = this.#pace.time(bytes, () => readSync(file.handle.fd, into, at + done, bytes - done, position + done));
          if (read === 0) throw cutShort(file, first);
          done += read;
        }
      } catch (error) {
        throw asStoreError(error, file.path);
      }
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
        const { file, position, bytes, count, first } = this.#runAt(ids, start);
        next += count;
        const at = start * rowBytes;
        for (let done = 0; done < bytes; ) {
          const read = await readSome(file, into, at + done, bytes - done, position + done);
          if (read === 0) throw cutShort(file, first);
          done += read;
        }
      }
    };
    // All settle before any failure is told: `into` is not touched after that.
    const outcomes = await Promise.allSettled(Array.from({ length: readsInFlight }, work));
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  async readChecksums(first: number, into: Uint32Array): Promise<void> {
    const bytes = new Uint8Array(into.buffer, into.byteOffset, into.byteLength);
    for (let done = 0; done < bytes.length; ) {
      const read = await readSome(this.#checksums, bytes, done, bytes.length - done, first * 4 + done);
      if (read === 0) throw new CorruptStoreError(`${this.#checksums.path} was cut short before block ${first + into.length}`);
      done += read;
    }
  }

  close(): Promise<void> {
    return withStoreErrors(this.#checksums.path, () => closeAll([...this.#files, this.#checksums]));
  }
}

/** Closes every file, also where one fails; then that failure is thrown. */
async function closeAll(files: readonly DataFile[]): Promise<void> {
  const closed = await Promise.allSettled(files.map(({ handle }) => handle.close()));
  const failed = closed.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

function readSome({ path, handle }: DataFile, into: Uint8Array, at: number, bytes: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    readCallback(handle.fd, into, at, bytes, position, (error, read) =>
      error === null ? resolve(read) : reject(asStoreError(error, path)),
    );
  });
}

function cutShort({ path }: DataFile, first: number): CorruptStoreError {
  return new CorruptStoreError(`${path} ends inside the rows from ${first} on; it was cut short`);
}
