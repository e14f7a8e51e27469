/**
 * One writer at a time: a lock file that names its holder, made by link(2), which fails if the name is taken.
 * A holder that is gone is replaced; who replaces it holds a lock of its own for that moment (the same way, one name further),
 * so two that find the same dead holder never both win.
 */
import { randomBytes } from 'node:crypto';
import { link, open, readFile, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { asideOf, removeLeftovers } from './aside.js';
import { LockedArtifactError, withArtifactErrors } from './errors.js';
import { currentProcess, isAlive } from './process-identity.js';
import { makeDirectory } from './publish.js';

/** A lock that is held. Release it, or declare it with `await using`. */
export interface Lock extends AsyncDisposable {
  readonly path: string;
  release(): Promise<void>;
}

const holderForm = z.object({ host: z.string(), pid: z.int(), started: z.string().nullable(), since: z.string(), token: z.string() });
type Holder = z.infer<typeof holderForm>;

/**
 * Takes the lock file `path`; missing parent folders are made. Works between processes of one machine; on a disk shared by
 * several machines a second machine is refused until the file is deleted.
 * @throws {LockedArtifactError} ARTIFACT_LOCKED, naming the process that holds it
 */
export async function acquireLock(path: string): Promise<Lock> {
  const target = resolve(path);
  return withArtifactErrors(target, async () => {
    await makeDirectory(dirname(target));
    const lock = await claim(target);
    await removeDead(`${target}.takeover`); // left by one that died while it replaced another
    return lock;
  });
}

async function claim(path: string): Promise<Lock> {
  const holder: Holder = { ...currentProcess(), since: new Date().toISOString(), token: randomBytes(8).toString('hex') };
  if (await tryLink(path, holder)) return lockOf(path, holder);
  refuseIfHeld(path, await holderOf(path));
  await using _ = await claim(`${path}.takeover`);
  refuseIfHeld(path, await holderOf(path)); // it may have changed hands meanwhile; from here only we may remove a dead one
  await rm(path, { force: true });
  if (await tryLink(path, holder)) return lockOf(path, holder);
  throw heldBy(path, await holderOf(path));
}

/** Makes the lock file, whole from its first moment. */
async function tryLink(path: string, holder: Holder): Promise<boolean> {
  await removeLeftovers(dirname(path));
  const draft = asideOf(path);
  try {
    const file = await open(draft, 'wx');
    try {
      await file.writeFile(`${JSON.stringify(holder)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(draft, path);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

/** 'free' if there is no lock file now, 'unreadable' if it holds something else. */
async function holderOf(path: string): Promise<Holder | 'free' | 'unreadable'> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 'free';
    throw error;
  }
  try {
    return holderForm.parse(JSON.parse(text));
  } catch {
    return 'unreadable';
  }
}

function refuseIfHeld(path: string, holder: Holder | 'free' | 'unreadable'): void {
  if (holder === 'free') return;
  if (holder === 'unreadable' || isAlive(holder)) throw heldBy(path, holder);
}

async function removeDead(path: string): Promise<void> {
  const holder = await holderOf(path);
  if (typeof holder !== 'string' && !isAlive(holder)) await rm(path, { force: true });
}

function heldBy(path: string, holder: Holder | 'free' | 'unreadable'): LockedArtifactError {
  if (typeof holder === 'string')
    return new LockedArtifactError(`${path} is held by an unknown process`, `Delete ${path} if nothing writes there.`);
  const who = `process ${holder.pid} on ${holder.host} since ${holder.since}`;
  return new LockedArtifactError(`${path} is held by ${who}`, `Wait for that process to end, or delete ${path} if it is gone.`);
}

function lockOf(path: string, { token }: Holder): Lock {
  let held = true;
  const release = async (): Promise<void> => {
    if (!held) return;
    held = false;
    await withArtifactErrors(path, async () => {
      const holder = await holderOf(path);
      if (typeof holder !== 'string' && holder.token === token) await rm(path, { force: true });
    });
  };
  return { path, release, [Symbol.asyncDispose]: release };
}
