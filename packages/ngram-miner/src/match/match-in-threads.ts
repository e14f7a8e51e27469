/** The longest match at every token of a corpus, on several threads that share the set, the tokens and what they find. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { MinerError } from '../errors.js';
import type { FgramSet } from '../fgrams/fgram-set.js';
import { allocateShared } from '../fgrams/shared-bytes.js';
import type { MatchWorkerData } from './match-worker.js';

/**
 * Threads run compiled code: beside this file once it is built, in dist/ while tests run the TypeScript sources; so they must not inherit the
 * option that makes packages resolve to those.
 */
const WORKER = import.meta.url.endsWith('.ts')
  ? new URL('../../dist/match/match-worker.js', import.meta.url)
  : new URL('./match-worker.js', import.meta.url);

/** Tokens that a thread takes at a time: some tens of milliseconds. */
const CHUNK = 2 ** 18;

export interface MatchInThreadsOptions {
  /** One per core unless given. */
  readonly threads?: number;
  /** Whether ids are wanted too: four bytes a token. */
  readonly ids?: boolean;
  /** The token that opens a document, that of the set unless given. */
  readonly boundary?: number;
  /** Tokens that a thread takes at a time. */
  readonly chunk?: number;
  readonly signal?: AbortSignal;
}

export interface Matches {
  /** The length of the longest f-gram that ends at each token, 1 where none. */
  readonly lengths: Uint8Array;
  /** Its id, −1 where none. */
  readonly ids: Int32Array | undefined;
}

/**
 * The same as `set.match`, whatever the number of threads. What does not lie in shared memory yet is copied there once.
 * @throws the signal's reason when aborted; {MinerError} THREAD_FAILED
 */
export async function matchInThreads(
  set: FgramSet,
  tokens: Uint16Array | Uint32Array,
  { threads = availableParallelism(), ids = false, boundary = set.boundary, chunk = CHUNK, signal }: MatchInThreadsOptions = {},
): Promise<Matches> {
  signal?.throwIfAborted();
  const { bytes, pages } = set.bytes.buffer instanceof SharedArrayBuffer ? set : copyShared(set.bytes);
  const common = {
    bytes,
    manifest: set.manifest,
    tokens: shared(tokens),
    ids: ids ? new Int32Array(new SharedArrayBuffer(tokens.length * 4)) : undefined,
    lengths: new Uint8Array(new SharedArrayBuffer(tokens.length)),
    boundary,
    chunk,
    next: new Int32Array(new SharedArrayBuffer(4)),
  };
  const scratch = Array.from({ length: Math.min(threads, Math.ceil(tokens.length / chunk)) }, () =>
    pages === undefined ? undefined : { memory: pages.memory, page: pages.take() },
  );
  const workers = scratch.map((own) => {
    const workerData: MatchWorkerData = { ...common, scratch: own };
    return new Worker(WORKER, { workerData, execArgv: [] });
  });
  const stop = () => workers.map((worker) => worker.terminate());
  signal?.addEventListener('abort', stop);
  try {
    await Promise.all(workers.map(finished));
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', stop);
    await Promise.all(stop());
    for (const own of scratch) if (own !== undefined) pages?.giveBack(own.page);
  }
  // A thread that is stopped before it began ends well.
  signal?.throwIfAborted();
  return { lengths: common.lengths, ids: common.ids };
}

function finished(worker: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (why: string, cause?: unknown) =>
      reject(new MinerError('THREAD_FAILED', `a matching thread ${why}`, 'Use fewer threads.', cause));
    worker.on('error', (error) => fail(`failed: ${error instanceof Error ? error.message : String(error)}`, error));
    worker.on('exit', (code) => (code === 0 ? resolve() : fail(`ended with ${code}`)));
  });
}

function copyShared(bytes: Uint8Array): ReturnType<typeof allocateShared> {
  const copy = allocateShared(bytes.length);
  copy.bytes.set(bytes);
  return copy;
}

function shared<T extends Uint16Array | Uint32Array>(array: T): T {
  if (array.buffer instanceof SharedArrayBuffer) return array;
  const copy = new (array.constructor as new (buffer: SharedArrayBuffer) => T)(new SharedArrayBuffer(array.byteLength));
  copy.set(array);
  return copy;
}
