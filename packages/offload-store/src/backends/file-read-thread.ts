/** A thread of `ReadThreads`: takes runs of the job at hand until none is left. */
import { readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';

/** What the threads share from one job to the next. */
export interface ReadMemory {
  /** [1], how many runs of the job have been taken. */
  readonly taken: Int32Array<SharedArrayBuffer>;
  /** [at least the job's runs, 4], descriptor, position in the file, bytes, place in `rows`. */
  readonly runs: Float64Array<SharedArrayBuffer>;
  readonly rows: Uint8Array<SharedArrayBuffer>;
}

/** What a thread says when nothing is left. */
export interface ReadReply {
  /** Runs that it has read, and how long that took. */
  readonly count: number;
  readonly ms: number;
  /** A run that failed, by an error of the system or because its file ended. */
  readonly failed?: { readonly run: number; readonly error?: { readonly message: string; readonly code: unknown } };
}

let memory: ReadMemory;

/** @param jobRuns how many runs the job has */
function work(jobRuns: number): ReadReply {
  const { taken, runs, rows } = memory;
  const started = performance.now();
  let count = 0;
  const reply = (failed?: ReadReply['failed']): ReadReply => ({ count, ms: performance.now() - started, ...(failed && { failed }) });
  for (let run = Atomics.add(taken, 0, 1); run < jobRuns; run = Atomics.add(taken, 0, 1)) {
    const [file, position, bytes, at] = runs.subarray(run * 4, run * 4 + 4);
    try {
      for (let done = 0; done < bytes; ) {
        const read = readSync(file, rows, at + done, bytes - done, position + done);
        if (read === 0) return reply({ run });
        done += read;
      }
    } catch (error) {
      const { message, code } = error as NodeJS.ErrnoException;
      return reply({ run, error: { message, code } });
    }
    count += 1;
  }
  return reply();
}

parentPort?.on('message', (message: ReadMemory | number) => {
  if (typeof message === 'number') parentPort?.postMessage(work(message));
  else memory = message;
});
