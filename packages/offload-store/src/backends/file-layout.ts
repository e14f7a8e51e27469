/**
 * Where a file store lives. Published: DIR/manifest.json, DIR/checksums.bin (u32 CRC-32 of each block) and DIR/rows-00000.bin, ... (row i at
 * byte (i mod shardRows) * rowBytes of file floor(i / shardRows)). Unfinished: a hidden sibling, `.NAME.partial/` with description.json,
 * one journal per writer and rows/, the folder that becomes DIR. `.NAME.lock` is held while writers come and go, `.NAME.FROM-TO.lock` while one
 * is at work on these rows.
 */
import { readdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { StoreError } from '../errors.js';
import type { StoreDescription } from '../manifest.js';
import { CHECKSUMS_NAME, MANIFEST_NAME, shardName } from './folder-form.js';

export interface FileLayout {
  readonly directory: string;
  readonly partial: string;
  readonly description: string;
  readonly partialDirectory: string;
  readonly lock: string;
  /** Path of a writer's lock, less its range. */
  readonly writer: string;
}

/** @param location a path, relative to the working folder or absolute, or `//...` as in file:///absolute/path @throws {StoreError} STORE_ARGUMENT */
export function layoutOf(location: string): FileLayout {
  const directory = resolve(location.startsWith('//') ? pathOfUrl(`file:${location}`) : location);
  const hidden = join(dirname(directory), `.${basename(directory)}`);
  const partial = `${hidden}.partial`;
  return {
    directory,
    partial,
    description: join(partial, 'description.json'),
    partialDirectory: join(partial, 'rows'),
    lock: `${hidden}.lock`,
    writer: hidden,
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

/** The data files of a store in `directory`, at least one. */
export function shardFiles(directory: string, { rows, shardRows }: Pick<StoreDescription, 'rows' | 'shardRows'>): string[] {
  return Array.from({ length: Math.max(1, Math.ceil(rows / shardRows)) }, (_, shard) => join(directory, shardName(shard)));
}

/**
 * Refuses to replace or delete a folder that holds anything but a store.
 * @throws {StoreError} STORE_OCCUPIED
 */
export async function expectStoreOrNothing({ directory }: FileLayout): Promise<void> {
  const isOurs = (name: string) =>
    /^rows(-\d+)?\.bin$|^rows\.mdb(-lock)?$/.test(name) || name === CHECKSUMS_NAME || name.replace(/^\./, '').startsWith(MANIFEST_NAME);
  const alien = (await namesIn(directory)).find((name) => !isOurs(name));
  if (alien === undefined) return;
  throw new StoreError('STORE_OCCUPIED', `${directory} is no store: it holds ${alien}`, 'Choose another folder for the store.');
}

/** The names in a folder; none if there is no folder. */
export async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT') return [];
    if (code === 'ENOTDIR') throw new StoreError('STORE_OCCUPIED', `${directory} is a file`, 'Choose another folder for the store.');
    throw error;
  }
}
