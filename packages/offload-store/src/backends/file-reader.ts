/**
 * Reading a file store: neighbouring ids become one positional read; synchronous while the page cache answers, many reads in
 * flight once the disk has to.
 */
import { readSync } from 'node:fs';
import type { RowReader } from '../backend.js';
import { asStoreError, CorruptStoreError, withStoreErrors } from '../errors.js';
import { manifestSchema, type StoreManifest } from '../manifest.js';
import { runLength } from '../row-order.js';
import { checksumsFile, closeAll, type DataFile, openAll, openGeneration, readChecksums, readSome } from './file-generation.js';
import { layoutOf, shardFiles } from './file-layout.js';
import { type FileRun, type ReadThreads, RunError, readThreads } from './file-read-threads.js';
import { manifestHead } from './folder-form.js';
import { Pace } from './pace.js';

/** More in flight than UV_THREADPOOL_SIZE only wait in a queue; 16 fills a pool that has been widened. */
const readsInFlight = 16;

/** Rows that are read so before the page cache is tried again. */
const partRows = 256;

/** Bytes that threads read at a time: they find out themselves whether the page cache answers again. */
const threadBytes = 2 ** 22;

/** Fewer are not worth waking threads for. */
const fewRows = 64;

export function openFileReader(location: string): Promise<RowReader> {
  const layout = layoutOf(location);
  return withStoreErrors(layout.directory, async () => {
    const openFiles = (manifest: StoreManifest) => {
      const { rows, rowBytes, shardRows } = manifest;
      const shards = shardFiles(layout.directory, manifest).map((path, shard) => ({
        path,
        bytes: Math.min(shardRows, rows - shard * shardRows) * rowBytes,
      }));
      return openAll([checksumsFile(layout, manifest), ...shards]);
    };
    const { manifest, files } = await openGeneration(layout, { ...manifestHead, schema: manifestSchema }, openFiles, closeAll);
    const [checksums, ...shards] = files;
    return new FileReader(manifest, shards, checksums);
  });
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
  /** Whether threads were the last to read. */
  #isForThreads = false;

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
    // As long as threads find the disk slow, no read is made to find out.
    const start = this.#isForThreads && this.#pace.isSlow && ids.length >= fewRows ? 0 : this.#readWhileFast(ids, 0, into);
    if (start < ids.length) return this.#readOn(ids, start, into, signal);
  }

  /** One synchronous read after the other from row `start` on. @returns where reads turned slow, or the end */
  #readWhileFast(ids: Uint32Array, start: number, into: Uint8Array): number {
    const { rowBytes } = this.manifest;
    let next = start;
    while (next < ids.length) {
      const { file, position, bytes, count, first } = this.#runAt(ids, next);
      const at = next * rowBytes;
      try {
        for (let done = 0; done < bytes; ) {
          const isSample = this.#pace.isSample();
          const started = isSample ? performance.now() : 0;
          const read = readSync(file.handle.fd, into, at + done, bytes - done, position + done);
          if (isSample) this.#pace.take(bytes, started);
          if (read === 0) throw cutShort(file, first);
          done += read;
        }
      } catch (error) {
        throw asStoreError(error, file.path);
      }
      next += count;
      if (this.#pace.isSlow) break;
    }
    return next;
  }

  /** Part by part with many reads in flight; between the parts one read finds out whether the page cache answers again. */
  async #readOn(ids: Uint32Array, start: number, into: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    const { rowBytes } = this.manifest;
    for (let next = start; next < ids.length; ) {
      const threads = ids.length - next < fewRows ? undefined : readThreads();
      const end = Math.min(next + (threads === undefined ? partRows : Math.max(partRows, Math.floor(threadBytes / rowBytes))), ids.length);
      const part = [ids.subarray(next, end), into.subarray(next * rowBytes, end * rowBytes), signal] as const;
      await (threads === undefined ? this.#readAtOnce(...part) : this.#readInThreads(threads, ...part));
      signal?.throwIfAborted();
      this.#isForThreads = threads !== undefined;
      next = this.#isForThreads && this.#pace.isSlow ? end : this.#readWhileFast(ids, end, into);
    }
  }

  async #readInThreads(threads: ReadThreads, ids: Uint32Array, into: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    const runs: Run[] = [];
    const reads: FileRun[] = [];
    for (let start = 0; start < ids.length; start += runs.at(-1)!.count) {
      const run = this.#runAt(ids, start);
      runs.push(run);
      reads.push({ file: run.file.handle.fd, position: run.position, bytes: run.bytes, at: start * this.manifest.rowBytes });
    }
    try {
      this.#pace.takeMean(into.length / reads.length, await threads.read(reads, into, signal));
    } catch (error) {
      if (!(error instanceof RunError)) throw error;
      const { file, first } = runs[error.run];
      throw error.cause === undefined ? cutShort(file, first) : asStoreError(error.cause, file.path);
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

  readChecksums(first: number, into: Uint32Array): Promise<void> {
    return readChecksums(this.#checksums, first, into);
  }

  close(): Promise<void> {
    return withStoreErrors(this.#checksums.path, () => closeAll([...this.#files, this.#checksums]));
  }
}

function cutShort({ path }: DataFile, first: number): CorruptStoreError {
  return new CorruptStoreError(`${path} ends inside the rows from ${first} on; it was cut short`);
}
