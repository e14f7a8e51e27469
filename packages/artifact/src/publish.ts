/**
 * Files that are whole or absent: write aside under a hidden sibling name, fsync, rename into place, fsync the folder.
 * Whenever the process or the power dies, the old content is there whole or the new content is.
 */
import { type FileHandle, lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { asideOf, hiddenBeside, removeLeftovers } from './aside.js';
import { withArtifactErrors } from './errors.js';

/**
 * Writes a file aside and renames it into place; missing parent folders are made.
 * @param write gets the open, empty file; whatever it throws leaves the old file as it was
 * @throws {ArtifactError} ARTIFACT_DISK_FULL, ARTIFACT_IO
 */
export async function publishFile(path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
  const target = resolve(path);
  await withArtifactErrors(target, async () => {
    await makeDirectory(dirname(target));
    await removeLeftovers(dirname(target));
    const aside = asideOf(target);
    try {
      const file = await open(aside, 'wx');
      try {
        await write(file);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(aside, target);
    } catch (error) {
      await rm(aside, { force: true });
      throw error;
    }
    await syncDirectory(dirname(target));
  });
}

/** publishFile with the content at hand; a string is written as UTF-8. */
export async function publishBytes(path: string, content: Uint8Array | string): Promise<void> {
  await publishFile(path, (file) => file.writeFile(content));
}

/**
 * Writes a folder aside and puts it in the place of an older one.
 * @param write gets the path of an empty folder to fill; whatever it throws leaves the old folder as it was
 * @throws {ArtifactError} ARTIFACT_DISK_FULL, ARTIFACT_IO
 */
export async function publishDirectory(path: string, write: (asideDirectory: string) => Promise<void>): Promise<void> {
  const target = resolve(path);
  await withArtifactErrors(target, async () => {
    await makeDirectory(dirname(target));
    await removeLeftovers(dirname(target));
    const aside = asideOf(target);
    try {
      await mkdir(aside);
      await write(aside);
      await promoteDirectory(aside, target);
    } catch (error) {
      await rm(aside, { force: true, recursive: true });
      throw error;
    }
  });
}

/**
 * Puts the finished folder `aside` in the place of `path` (same parent folder), after an fsync of everything in it.
 * No system call known to Node swaps two folders, so an older one first steps back to a hidden sibling; a crash between the
 * two renames is repaired by `settleDirectory`, which every reader of a manifest and every publisher calls.
 * @throws {ArtifactError} ARTIFACT_DISK_FULL, ARTIFACT_IO
 */
export async function promoteDirectory(aside: string, path: string): Promise<void> {
  const target = resolve(path);
  const parent = dirname(target);
  await withArtifactErrors(target, async () => {
    await syncTree(aside);
    await removeLeftovers(dirname(target));
    for (let attempt = 1; ; attempt += 1) {
      await settleDirectory(target);
      if (await exists(target)) {
        await discard(previousOf(target), target);
        await rename(target, previousOf(target));
      }
      try {
        await rename(aside, target);
        break;
      } catch (error) {
        await settleDirectory(target);
        // A reader that came between the two renames has put the older folder back; step it aside again.
        const cameBack = error instanceof Error && 'code' in error && (error.code === 'ENOTEMPTY' || error.code === 'EEXIST');
        if (!cameBack || attempt === 10) throw error;
      }
    }
    await syncDirectory(parent);
    await discard(previousOf(target), target);
  });
}

/**
 * Puts back a folder that a publisher, dead or at work, had moved out of the way without putting the new one in its place.
 * @returns true if it did so; false if there was nothing to do
 */
export async function settleDirectory(path: string): Promise<boolean> {
  const target = resolve(path);
  return withArtifactErrors(target, async () => {
    if ((await exists(target)) || !(await exists(previousOf(target)))) return false;
    try {
      await rename(previousOf(target), target);
    } catch (error) {
      if (await exists(target)) return false; // someone else was faster
      throw error;
    }
    await syncDirectory(dirname(target));
    return true;
  });
}

/** Makes the names in a folder durable. Windows neither needs nor allows it. */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  await syncFile(path);
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, process.platform === 'win32' ? 'r+' : 'r'); // Windows flushes only what may be written
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncTree(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await syncTree(path);
    else if (entry.isFile()) await syncFile(path);
  }
  await syncDirectory(directory);
}

/**
 * Removes a folder and all that is in it: gone at once, or, whenever the process or the power dies, still whole.
 * @throws {ArtifactError} ARTIFACT_IO
 */
export async function removeDirectory(path: string): Promise<void> {
  const target = resolve(path);
  await withArtifactErrors(target, async () => {
    if (await exists(dirname(target))) await removeLeftovers(dirname(target));
    await discard(target, target);
  });
}

/** Makes a folder and its missing parents, their names durable. */
export async function makeDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (first === undefined) return;
  for (let made = resolve(path); ; made = dirname(made)) {
    await syncDirectory(dirname(made));
    if (made === resolve(first)) return;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return false;
    throw error;
  }
}

const previousOf = (target: string): string => hiddenBeside(target, '.previous');

/** Removes a folder by way of a rename, so that half a folder never stands under a name that means something. */
async function discard(path: string, target: string): Promise<void> {
  if (!(await exists(path))) return;
  const aside = asideOf(target);
  await rename(path, aside);
  await syncDirectory(dirname(target));
  await rm(aside, { force: true, recursive: true });
}
