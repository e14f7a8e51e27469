/** The mining threads, and the memory that they share with this one. */
import { Worker } from 'node:worker_threads';
import { asArtifactError } from '@sconelm/artifact';
import { MinerError, type MinerErrorCode } from '../errors.js';
import type { Chunk } from './chunks.js';
import { createMemory, type KernelName, type KernelSettings } from './kernel/kernel.js';
import type { Layout } from './layout.js';
import type { MiningFailure, MiningJob, MiningReply, MiningWorkerData, Segment } from './worker.js';

/** Threads run compiled code: beside this file once it is built, in dist/ while tests run the TypeScript sources. */
const WORKER = import.meta.url.endsWith('.ts')
  ? new URL('../../dist/mine/worker.js', import.meta.url)
  : new URL('./worker.js', import.meta.url);

/** V8's spaces for young objects; the threads make few. */
const YOUNG_GENERATION_MB = 8;

export interface PoolOptions {
  readonly kernel: KernelName;
  readonly layout: Layout;
  /** The chunks of each thread. */
  readonly shares: readonly (readonly Chunk[])[];
  readonly settings: (worker: number) => KernelSettings;
  readonly signal?: AbortSignal | undefined;
}

export class Pool implements AsyncDisposable {
  readonly buffer: SharedArrayBuffer;
  readonly layout: Layout;
  readonly #threads: readonly Worker[];
  readonly #signal: AbortSignal | undefined;

  constructor({ kernel, layout, shares, settings, signal }: PoolOptions) {
    const memory = createMemory(kernel, layout.bytes);
    this.buffer = memory instanceof SharedArrayBuffer ? memory : memory.buffer;
    this.layout = layout;
    this.#signal = signal;
    this.#threads = shares.map((chunks, worker) => {
      const workerData: MiningWorkerData = { memory, layout, worker, chunks, settings: settings(worker) };
      // Without the options of this process: some, as --input-type, would keep a thread from starting.
      return new Worker(WORKER, { workerData, execArgv: [], resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB } });
    });
  }

  get size(): number {
    return this.#threads.length;
  }

  /** Tokens or keys of the job at hand that are done. */
  get progress(): number {
    return this.layout.workers.reduce((sum, { progress }) => sum + new Float64Array(this.buffer, progress, 1)[0], 0);
  }

  /** Gives each thread a job and waits for all. @throws what one of them threw, or the signal's reason */
  async run(job: (worker: number) => MiningJob): Promise<Segment[]> {
    this.#signal?.throwIfAborted();
    Atomics.store(new Int32Array(this.buffer, this.layout.nextTask, 1), 0, 0);
    const { promise: failed, reject: fail } = withReject();
    const abort = () => fail(this.#signal?.reason);
    this.#signal?.addEventListener('abort', abort);
    try {
      const replies = this.#threads.map((thread, worker) => replyOf(thread, job(worker)));
      return (await Promise.race([Promise.all(replies), failed])).flat();
    } finally {
      this.#signal?.removeEventListener('abort', abort);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
  }
}

function withReject(): { promise: Promise<never>; reject: (reason: unknown) => void } {
  let reject: (reason: unknown) => void = () => {};
  const promise = new Promise<never>((_, no) => {
    reject = no;
  });
  return { promise, reject };
}

function replyOf(thread: Worker, job: MiningJob): Promise<readonly Segment[]> {
  return new Promise((resolve, reject) => {
    const settle = (done: () => void) => {
      thread.off('message', onMessage).off('error', onError).off('exit', onExit);
      done();
    };
    const onMessage = (reply: MiningReply) => settle(() => ('failure' in reply ? reject(errorOf(reply.failure)) : resolve(reply.segments)));
    const onError = (error: unknown) => settle(() => reject(error));
    const onExit = (code: number) => settle(() => reject(new Error(`a mining thread ended with ${code}`)));
    thread.on('message', onMessage).on('error', onError).on('exit', onExit);
    thread.postMessage(job);
  });
}

function errorOf({ code, message, remedy, stack }: MiningFailure): unknown {
  if (code !== undefined && remedy !== undefined) return new MinerError(code as MinerErrorCode, message, remedy);
  const error = Object.assign(
    new Error(message),
    stack === undefined ? {} : { stack },
    code === undefined ? {} : { code, syscall: 'read' },
  );
  return asArtifactError(error, 'a shard or the folder of unfinished work');
}
