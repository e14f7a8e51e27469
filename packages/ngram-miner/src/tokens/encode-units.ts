/** Encodes units on several threads. */
import { Worker } from 'node:worker_threads';
import { ArtifactError, type ArtifactErrorCode } from '@sconelm/artifact';
import { MinerError, type MinerErrorCode } from '../errors.js';
import type { EncodeProgress } from './encode-unit.js';
import type { EncodeReply, EncodeWorkerData, FailureReport } from './encode-worker.js';
import type { Unit } from './units.js';

/**
 * Threads run compiled code: beside this file once it is built, in dist/ while tests run the TypeScript sources (`npm test` builds first). They do
 * not inherit the flags of tests, which resolve packages to their sources.
 */
const WORKER = import.meta.url.endsWith('.ts')
  ? new URL('../../dist/tokens/encode-worker.js', import.meta.url)
  : new URL('./encode-worker.js', import.meta.url);

export interface EncodeUnitsOptions extends EncodeWorkerData {
  readonly units: readonly Unit[];
  readonly workers: number;
  readonly onProgress: (progress: EncodeProgress) => void;
}

/** Work under way: a promise for each unit, in order. Once one rejects, all that are not done do. Disposing ends the threads. */
export interface Encoding extends AsyncDisposable {
  readonly units: readonly Promise<void>[];
  /** Rejects what is not done. */
  fail(reason: unknown): void;
}

export function encodeUnits({ units, workers, onProgress, ...workerData }: EncodeUnitsOptions): Encoding {
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
      else fail(errorOf(reply.failure));
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
      await Promise.all(threads.map((thread) => thread.terminate()));
    },
  };
}

function errorOf({ code, message, remedy, stack }: FailureReport): Error {
  if (code === undefined || remedy === undefined) return Object.assign(new Error(message), stack === undefined ? {} : { stack });
  if (code.startsWith('ARTIFACT_')) return new ArtifactError(code as ArtifactErrorCode, message, remedy);
  return new MinerError(code as MinerErrorCode, message, remedy);
}
