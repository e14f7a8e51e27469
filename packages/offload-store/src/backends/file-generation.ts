/** The open files of one published folder. A publisher may replace the folder at any time: open files stay those that they were. */
import { constants, read as readCallback } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type ManifestForm, readManifest } from '@sconelm/artifact';
import type { z } from 'zod';
import { asStoreError, CorruptStoreError, StoreError } from '../errors.js';
import { blocksOf, type StoreManifest } from '../manifest.js';
import type { FileLayout } from './file-layout.js';
import { CHECKSUMS_NAME, MANIFEST_NAME } from './folder-form.js';

/** An open file of a known length. */
export interface DataFile {
  readonly path: string;
  readonly handle: FileHandle;
}

/**
 * Opens manifest and files of the same generation.
 * @param openFiles opens all there are, now; closes what it opened if it throws
 */
export async function openGeneration<Schema extends z.ZodType, Files>(
  { directory }: FileLayout,
  form: ManifestForm<Schema>,
  openFiles: (manifest: z.output<Schema>) => Promise<Files>,
  closeFiles: (files: Files) => Promise<void>,
): Promise<{ readonly manifest: z.output<Schema>; readonly files: Files }> {
  const path = join(directory, MANIFEST_NAME);
  for (let attempt = 1; attempt <= 10; attempt += 1) {
    const manifest = await readManifest(path, form);
    const before = await identityOf(path);
    const opened = await openFiles(manifest).then(
      (files) => ({ files }),
      (failure: unknown) => ({ failure }),
    );
    let isUnchanged = false;
    try {
      const again = await readManifest(path, form);
      isUnchanged = before !== undefined && before === (await identityOf(path)) && JSON.stringify(manifest) === JSON.stringify(again);
      if (isUnchanged && 'failure' in opened) throw opened.failure;
      if (isUnchanged && 'files' in opened) return { manifest, files: opened.files };
    } finally {
      if (!isUnchanged && 'files' in opened) await closeFiles(opened.files);
    }
  }
  throw new StoreError('STORE_IO', `${directory} is replaced again and again`, 'Open it when its writers have ended.');
}

/** Undefined at the moment of a publisher's work at which there is none. */
async function identityOf(path: string): Promise<string | undefined> {
  try {
    const { dev, ino, mtimeMs, size } = await stat(path);
    return `${dev}:${ino}:${mtimeMs}:${size}`;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Opens all files, or none. @throws {CorruptStoreError} if one is missing or not as long as it should be */
export async function openAll(files: readonly { readonly path: string; readonly bytes?: number }[]): Promise<DataFile[]> {
  const opened: DataFile[] = [];
  try {
    for (const { path, bytes } of files) opened.push({ path, handle: await openFile(path, bytes) });
    return opened;
  } catch (error) {
    await closeAll(opened);
    throw error;
  }
}

/** Opening a pipe would wait for whoever writes to it. */
const READ = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

async function openFile(path: string, bytes: number | undefined): Promise<FileHandle> {
  const file = await open(path, READ).catch((error: unknown) => {
    const known = asStoreError(error, path);
    throw known instanceof StoreError && known.code === 'STORE_MISSING'
      ? new CorruptStoreError(`${path} is missing beside its manifest`)
      : known;
  });
  try {
    const stats = await file.stat();
    const { size } = stats;
    if (!stats.isFile()) throw new CorruptStoreError(`${path} is no regular file`);
    if (bytes !== undefined && size !== bytes) throw new CorruptStoreError(`${path} has ${size} bytes, expected ${bytes}`);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Closes every file, also where one fails; then that failure is thrown. */
export async function closeAll(files: readonly DataFile[]): Promise<void> {
  const closed = await Promise.allSettled(files.map(({ handle }) => handle.close()));
  const failed = closed.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

/** Some bytes from `position` on, at most `bytes`; 0 at the end of the file. */
export function readSome({ path, handle }: DataFile, into: Uint8Array, at: number, bytes: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    readCallback(handle.fd, into, at, bytes, position, (error, read) =>
      error === null ? resolve(read) : reject(asStoreError(error, path)),
    );
  });
}

/** The file of a published store's checksums. */
export function checksumsFile({ directory }: FileLayout, manifest: StoreManifest): { readonly path: string; readonly bytes: number } {
  return { path: join(directory, CHECKSUMS_NAME), bytes: blocksOf(manifest) * 4 };
}

/** The checksums of blocks `first`, `first + 1`, ... */
export async function readChecksums(file: DataFile, first: number, into: Uint32Array): Promise<void> {
  const bytes = new Uint8Array(into.buffer, into.byteOffset, into.byteLength);
  for (let done = 0; done < bytes.length; ) {
    const read = await readSome(file, bytes, done, bytes.length - done, first * 4 + done);
    if (read === 0) throw new CorruptStoreError(`${file.path} was cut short before block ${first + into.length}`);
    done += read;
  }
}
