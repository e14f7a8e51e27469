/**
 * Where a file store lives. Published: DIR/rows.bin (row i at byte i * rowBytes) and DIR/manifest.json. Unfinished: a hidden
 * sibling, `.NAME.partial/` with description.json, journal.bin and rows/, the folder that becomes DIR; `.NAME.lock` while a
 * writer is at work.
 */
import { readdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { StoreError } from '../errors.js';

export const manifestHead = { kind: 'sconelm-store', version: 1 };
export const descriptionHead = { kind: 'sconelm-store-unfinished', version: 1 };

export interface FileLayout {
  readonly directory: string;
  readonly rows: string;
  readonly manifest: string;
  readonly partial: string;
  readonly description: string;
  readonly journal: string;
  readonly partialDirectory: string;
  readonly partialRows: string;
  readonly partialManifest: string;
  readonly lock: string;
}

/** @param location a path, relative to the working folder or absolute, or `//...` as in file:///absolute/path @throws {StoreError} STORE_ARGUMENT */
export function layoutOf(location: string): FileLayout {
  const directory = resolve(location.startsWith('//') ? pathOfUrl(`file:${location}`) : location);
  const hidden = join(dirname(directory), `.${basename(directory)}`);
  const partial = `${hidden}.partial`;
  const partialDirectory = join(partial, 'rows');
  return {
    directory,
    rows: join(directory, 'rows.bin'),
    manifest: join(directory, 'manifest.json'),
    partial,
    description: join(partial, 'description.json'),
    journal: join(partial, 'journal.bin'),
    partialDirectory,
    partialRows: join(partialDirectory, 'rows.bin'),
    partialManifest: join(partialDirectory, 'manifest.json'),
    lock: `${hidden}.lock`,
  };
}

function pathOfUrl(url: string): string {
  try {
    return fileURLToPath(url);
  } catch (error) {
    const reason = error instanceof Error ? error.message : error;
    throw new StoreError('STORE_ARGUMENT', `${url}: ${reason}`, 'Write file:PATH, or file:///PATH with an absolute path.', error);
  }
}

/**
 * Refuses to replace or delete a folder that holds anything but a store.
 * @throws {StoreError} STORE_OCCUPIED
 */
export async function expectStoreOrNothing({ directory }: FileLayout): Promise<void> {
  const alien = (await namesIn(directory)).find((name) => name !== 'rows.bin' && !/^\.?manifest\.json/.test(name));
  if (alien === undefined) return;
  throw new StoreError('STORE_OCCUPIED', `${directory} is no store: it holds ${alien}`, 'Choose another folder for the store.');
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT') return [];
    if (code === 'ENOTDIR') throw new StoreError('STORE_OCCUPIED', `${directory} is a file`, 'Choose another folder for the store.');
    throw error;
  }
}
