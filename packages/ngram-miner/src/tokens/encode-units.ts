/** Encodes units on several threads. */
import { Worker } from 'node:worker_threads';
import { ArtifactError, type ArtifactErrorCode } from '@sconelm/artifact';
import { MinerError, type MinerErrorCode } from '../errors.js';
import type { DocumentAtHand, EncodeProgress } from './encode-unit.js';
import type { EncodeReply, EncodeWorkerData, FailureReport } from './encode-worker.js';
import type { Unit } from './units.js';

/**
 * Threads run compiled code: beside this file once it is built, in dist/ while tests run the TypeScript sources (`npm test` builds first). They do
 * not inherit the flags of tests, which resolve packages to their sources.
 */
const WORKER = import.meta.url.endsWith('.ts')
  ? new URL('../../dist/tokens/encode-worker.js', import.meta.url)
  : new URL('./encode-worker.js', import.meta.url);

/** So much takes 15 s where the library is at its slowest, with a text that is one piece. */
const TIMEOUT_BYTES = 600_000;
/** How often it is looked whether a document takes too long. */
const TICKS_PER_TIMEOUT = 20;

export interface EncodeUnitsOptions extends EncodeWorkerData {
  readonly units: readonly Unit[];
  readonly workers: number;
  /** What a tokenizer without a fast path may take for a document, and again for each `TIMEOUT_BYTES` of it. */
  readonly tokenizerTimeoutMs: number;
  readonly onProgress: (progress: EncodeProgress) => void;
}

/** Work under way: a promise for each unit, in order. Once one rejects, all that are not done do. Disposing ends the threads. */
export interface Encoding extends AsyncDisposable {
  readonly units: readonly Promise<void>[];
  /** Rejects what is not done. */
  fail(reason: unknown): void;
}

export function encodeUnits({ units, workers, tokenizerTimeoutMs, onProgress, ...workerData }: EncodeUnitsOptions): Encoding {
  const settle = units.map(() => ({ resolve: () => {}, reject: (_: unknown) => {} }));
  const promises = units.map(
    (_, i) =>
      new Promise<void>((resolve, reject) => {
        settle[i] = { resolve, reject };
      }),
  );
  for (const promise of promises) promise.catch(() => {}); // whoever waits for the first one that fails sees why
  const fail = (reason: unknown) => {
    next = units.length;
    for (const { reject } of settle) reject(reason);
  };
  let next = 0;
  const atHand = new Map<Worker, { document: DocumentAtHand; ticks: number }>();
  // Ticks are counted, not time: a process that was stopped for a while goes on with its document.
  const watch = setInterval(() => {
    for (const own of atHand.values()) {
      const { document } = own;
      if (++own.ticks > TICKS_PER_TIMEOUT * (1 + document.bytes / TIMEOUT_BYTES))
        fail(tooSlow(document, own.ticks * (tokenizerTimeoutMs / TICKS_PER_TIMEOUT)));
    }
  }, tokenizerTimeoutMs / TICKS_PER_TIMEOUT);
  const threads = Array.from({ length: Math.min(workers, units.length) }, () => {
    const thread = new Worker(WORKER, { workerData, execArgv: [] });
    let current = -1;
    const advance = () => {
      current = next++;
      if (current < units.length) thread.postMessage(units[current]);
    };
    thread.on('message', (reply: EncodeReply) => {
      if (reply === 'done') {
        settle[current].resolve();
        advance();
      } else if ('progress' in reply) onProgress(reply.progress);
      else if ('failure' in reply) fail(errorOf(reply.failure));
      else if (reply.document === undefined) atHand.delete(thread);
      else atHand.set(thread, { document: reply.document, ticks: 0 });
    });
    thread.on('error', fail);
    thread.on('exit', (code) => fail(new Error(`an encoding thread ended with ${code}`)));
    advance();
    return thread;
  });
  return {
    units: promises,
    fail,
    async [Symbol.asyncDispose]() {
      clearInterval(watch);
      await Promise.all(threads.map((thread) => thread.terminate()));
    },
  };
}

function tooSlow({ file, offset, bytes }: DocumentAtHand, ms: number): MinerError {
  return new MinerError(
    'TOKENIZER_TIMEOUT',
    `${file}, byte or row ${offset}: a document of ${bytes} bytes has no tokens after ${Math.round(ms / 1000)} s, so the tokenizer's regular expression may never end`,
    'Leave this document out, or use a tokenizer with another pattern.',
  );
}

function errorOf({ code, message, remedy, stack }: FailureReport): Error {
  if (code === undefined || remedy === undefined) return Object.assign(new Error(message), stack === undefined ? {} : { stack });
  if (code.startsWith('ARTIFACT_')) return new ArtifactError(code as ArtifactErrorCode, message, remedy);
  return new MinerError(code as MinerErrorCode, message, remedy);
}
