/** A thread of `ReadThreads`: takes runs of the job at hand until none is left. */
import { readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';

/** All of it is shared between the threads. */
export interface ReadJob {
  /** [1], how many runs have been taken. */
  readonly taken: Int32Array<SharedArrayBuffer>;
  /** [runs, 4], descriptor, position in the file, bytes, place in `rows`. */
  readonly runs: Float64Array<SharedArrayBuffer>;
  readonly count: number;
  readonly rows: Uint8Array<SharedArrayBuffer>;
}

/** What a thread says when nothing is left: a run that failed, by an error of the system or because its file ended. */
export interface ReadReply {
  readonly failed?: { readonly run: number; readonly error?: { readonly message: string; readonly code: unknown } };
}

function work({ taken, runs, count, rows }: ReadJob): ReadReply {
  for (let run = Atomics.add(taken, 0, 1); run < count; run = Atomics.add(taken, 0, 1)) {
    const [file, position, bytes, at] = runs.subarray(run * 4, run * 4 + 4);
    try {
      for (let done = 0; done < bytes; ) {
        const read = readSync(file, rows, at + done, bytes - done, position + done);
        if (read === 0) return { failed: { run } };
        done += read;
      }
    } catch (error) {
      const { message, code } = error as NodeJS.ErrnoException;
      return { failed: { run, error: { message, code } } };
    }
  }
  return {};
}

parentPort?.on('message', (job: ReadJob) => parentPort?.postMessage(work(job)));
