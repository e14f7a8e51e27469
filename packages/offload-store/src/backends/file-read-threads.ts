/**
 * Threads that read files by position, for stores whose rows come from the disk: libuv's pool has four, shares them with everything else, and needs the
 * event loop for every single read. They start when a process has read from the disk for a while, and do not keep it from ending.
 */
import { Worker } from 'node:worker_threads';
import type { ReadMemory, ReadReply } from './file-read-thread.js';

/** Threads run compiled code: beside this file once it is built, in dist/ while tests run the TypeScript sources. */
const THREAD = import.meta.url.endsWith('.ts')
  ? new URL('../../dist/backends/file-read-thread.js', import.meta.url)
  : new URL('./file-read-thread.js', import.meta.url);

const THREADS = 8;
/** V8's spaces for young objects; the threads make few. */
const YOUNG_GENERATION_MB = 2;

/** Bytes of an open file, and where they go. */
export interface FileRun {
  readonly file: number;
  readonly position: number;
  readonly bytes: number;
  readonly at: number;
}

/** A run that could not be read: `cause` is the system's error, none if the file ended. */
export class RunError extends Error {
  readonly run: number;
  constructor(run: number, cause: Error | undefined) {
    super(`run ${run} could not be read`, { cause });
    this.run = run;
  }
}

export class ReadThreads {
  /** Whether all threads have started. */
  isReady = false;
  readonly #threads: readonly Worker[];
  readonly #taken = new Int32Array(new SharedArrayBuffer(4));
  #runs = new Float64Array(new SharedArrayBuffer(0));
  #rows = new Uint8Array(new SharedArrayBuffer(0));
  #turn: Promise<unknown> = Promise.resolve();
  #broken: Error | undefined;
  #break: (error: Error) => void = () => {};

  constructor() {
    const options = { execArgv: [], resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB } };
    this.#threads = Array.from({ length: THREADS }, () => new Worker(THREAD, options));
    let online = 0;
    for (const thread of this.#threads) {
      thread.unref();
      thread.once('online', () => {
        online += 1;
        this.isReady = online === THREADS;
      });
      thread.once('error', (error) => this.#end(error));
      thread.once('exit', () => this.#end(new Error('a thread that reads files has ended')));
    }
  }

  #end(error: Error): void {
    this.isReady = false;
    this.#broken ??= error;
    this.#break(error);
  }

  /**
   * Reads runs, one call after the other.
   * @param into untouched once the promise has settled
   * @returns microseconds that a run took in the quickest thread
   * @throws {RunError}; the signal's reason if aborted; whatever ended a thread
   */
  read(runs: readonly FileRun[], into: Uint8Array, signal: AbortSignal | undefined): Promise<number> {
    const turn = this.#turn.then(() => this.#read(runs, into, signal));
    this.#turn = turn.catch(() => {}); // its caller gets the error; the next in line starts all the same
    return turn;
  }

  async #read(runs: readonly FileRun[], into: Uint8Array, signal: AbortSignal | undefined): Promise<number> {
    signal?.throwIfAborted();
    this.#reserve(runs.length, into.length);
    runs.forEach(({ file, position, bytes, at }, i) => {
      this.#runs.set([file, position, bytes, at], i * 4);
    });
    Atomics.store(this.#taken, 0, 0);
    const stop = (): void => {
      Atomics.store(this.#taken, 0, runs.length);
    };
    signal?.addEventListener('abort', stop);
    for (const thread of this.#threads) thread.ref();
    try {
      const replies = await this.#replies(runs.length);
      signal?.throwIfAborted();
      for (const { failed } of replies) {
        if (failed === undefined) continue;
        const { error } = failed;
        throw new RunError(failed.run, error && Object.assign(new Error(error.message), { code: error.code }));
      }
      into.set(this.#rows.subarray(0, into.length));
      return Math.min(...replies.map(({ count, ms }) => (count === 0 ? Number.POSITIVE_INFINITY : (ms * 1000) / count)));
    } finally {
      signal?.removeEventListener('abort', stop);
      for (const thread of this.#threads) thread.unref();
    }
  }

  /** Room for so many runs and bytes; the threads are told where it is, which costs more than a job. */
  #reserve(runs: number, bytes: number): void {
    if (this.#runs.length >= runs * 4 && this.#rows.length >= bytes) return;
    this.#runs = new Float64Array(new SharedArrayBuffer(Math.max(this.#runs.byteLength, runs * 32)));
    this.#rows = new Uint8Array(new SharedArrayBuffer(Math.max(this.#rows.length, bytes)));
    const memory: ReadMemory = { taken: this.#taken, runs: this.#runs, rows: this.#rows };
    for (const thread of this.#threads) thread.postMessage(memory);
  }

  /** Has all threads work on a job. */
  #replies(jobRuns: number): Promise<ReadReply[]> {
    return new Promise((resolve, reject) => {
      if (this.#broken !== undefined) return reject(this.#broken);
      this.#break = reject;
      const found: ReadReply[] = [];
      for (const thread of this.#threads) {
        thread.once('message', (reply: ReadReply) => {
          found.push(reply);
          if (found.length === THREADS) resolve(found);
        });
        thread.postMessage(jobRuns);
      }
    });
  }

  /** Ends the threads. */
  async close(): Promise<void> {
    await this.#turn;
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
  }
}

/** Slow parts before the threads start: a busy machine may look like a slow disk for a moment. */
const PATIENCE = 4;
let slowParts = 0;
let threads: ReadThreads | undefined;

/** The threads of this process; undefined until they are worth it and have started. */
export function readThreads(): ReadThreads | undefined {
  slowParts += 1;
  if (slowParts > PATIENCE) threads ??= new ReadThreads();
  return threads?.isReady === true ? threads : undefined;
}
