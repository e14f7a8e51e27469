/**
 * Hidden sibling names under which something is prepared before it is renamed or linked into place. The name tells which
 * process works there, so that a later one can remove what a dead one left.
 */
import { randomBytes } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { currentProcess, isAlive } from './process-identity.js';

/** A fresh hidden name beside `target`. */
export function asideOf(target: string): string {
  const { host, pid, started } = currentProcess();
  return hiddenBeside(target, `.aside-${pid}-${started ?? ''}-${randomBytes(6).toString('hex')}@${encodeURIComponent(host)}`);
}

export const hiddenBeside = (target: string, suffix: string): string => join(dirname(target), `.${basename(target)}${suffix}`);

/** Removes what processes that are dead for certain left aside in a folder, for whatever target. */
export async function removeLeftovers(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const parts = /^\..+\.aside-(\d+)-([^-]*)-[0-9a-f]+@(.+)$/.exec(name);
    if (parts === null || isAlive({ pid: Number(parts[1]), started: parts[2] || null, host: decodeURIComponent(parts[3]!) })) continue;
    await rm(join(directory, name), { force: true, recursive: true });
  }
}
