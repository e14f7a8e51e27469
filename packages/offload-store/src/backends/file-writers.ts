/** Writers of one unfinished store, also of several processes: each holds the lock of its range of rows. Called under the store's own lock. */
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ArtifactError, acquireLock, type Lock } from '@sconelm/artifact';
import type { RowRange } from '../backend.js';
import { type FileLayout, namesIn } from './file-layout.js';

/** Others hold it while they come and go, a few milliseconds; longer than this they hang. */
const PATIENCE_MS = 10_000;

/** The store's own lock, waited for. @throws {ArtifactError} ARTIFACT_LOCKED */
export async function acquireGate({ lock }: FileLayout): Promise<Lock> {
  for (const started = performance.now(); ; await sleep(10)) {
    try {
      return await acquireLock(lock);
    } catch (error) {
      const isHeld = error instanceof ArtifactError && error.code === 'ARTIFACT_LOCKED';
      if (!isHeld || performance.now() - started > PATIENCE_MS) throw error;
    }
  }
}

/** @throws {ArtifactError} ARTIFACT_LOCKED if a living writer holds rows of the range */
export async function acquireRange(layout: FileLayout, { from, to }: RowRange): Promise<Lock> {
  for (const { path, range } of await writersOf(layout)) {
    // A store without rows has one writer too.
    if (range.from < Math.max(to, from + 1) && from < Math.max(range.to, range.from + 1)) await expectDead(path);
  }
  return acquireLock(`${layout.writer}.${from}-${to}.lock`);
}

/** @param own a lock that may be held @throws {ArtifactError} ARTIFACT_LOCKED if a living writer holds another */
export async function expectNoWriters(layout: FileLayout, own?: Lock): Promise<void> {
  for (const { path } of await writersOf(layout)) if (path !== own?.path) await expectDead(path);
}

async function writersOf({ writer }: FileLayout): Promise<{ readonly path: string; readonly range: RowRange }[]> {
  const prefix = `${basename(writer)}.`;
  return (await namesIn(dirname(writer))).flatMap((name) => {
    const [, from, to] = (name.startsWith(prefix) && /^(\d+)-(\d+)\.lock$/.exec(name.slice(prefix.length))) || [];
    return from === undefined ? [] : [{ path: join(dirname(writer), name), range: { from: Number(from), to: Number(to) } }];
  });
}

/** Takes the lock over from a writer that is gone, and drops it. */
async function expectDead(path: string): Promise<void> {
  await using _ = await acquireLock(path);
}
