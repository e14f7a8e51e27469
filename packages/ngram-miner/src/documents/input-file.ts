/** The files that paths mean, in a fixed order, and opening one as it was when it was listed. */
import { open, readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { TextError } from './text-error.js';

export type TextFormat = 'text' | 'jsonl' | 'parquet';
export type Packing = 'none' | 'gzip' | 'zstd';

export interface InputFile {
  readonly file: string;
  readonly format: TextFormat;
  readonly packing: Packing;
  /** Bytes on disk. */
  readonly size: number;
  readonly modifiedMs: number;
}

/** Part of a file: the documents whose first byte lies in [from, to); of a parquet file, the row groups. */
export interface Source extends InputFile {
  readonly from: number;
  readonly to: number;
}

const KNOWN = /(?<!\.docs)\.(txt|jsonl|parquet)(?:\.(gz|zst))?$/i;

function formOf(file: string): Pick<InputFile, 'format' | 'packing'> {
  const packing = /\.gz$/i.test(file) ? 'gzip' : /\.zst$/i.test(file) ? 'zstd' : 'none';
  const inner = packing === 'none' ? file : file.replace(/\.\w+$/, '');
  return { format: /\.jsonl$/i.test(inner) ? 'jsonl' : /\.parquet$/i.test(file) ? 'parquet' : 'text', packing };
}

const missing = (file: string, cause: unknown) =>
  new TextError(
    'TEXT_MISSING',
    { file, offset: -1 },
    `it cannot be read: ${cause instanceof Error ? cause.message : cause}`,
    'Check the path, its permissions and the disk.',
    cause,
  );

/**
 * Files in the order of `paths`; of a folder, its .txt, .jsonl (also .gz, .zst) and .parquet files, its folders' too, in the order of their
 * names' UTF-16 code units. Hidden names, other files and a dataset's lists of documents in folders are passed over; a file that is named is
 * read as text whatever its name.
 * @throws {TextError} TEXT_MISSING: no such file, not a regular one; TEXT_EMPTY: a folder without such files
 */
export async function listInputs(paths: readonly string[]): Promise<InputFile[]> {
  const found: InputFile[] = [];
  for (const given of paths) {
    const before = found.length;
    await visit(given, found, []);
    if (found.length > before) continue;
    const remedy = 'Give files, or a folder with .txt, .jsonl, .jsonl.gz, .jsonl.zst or .parquet files.';
    throw new TextError('TEXT_EMPTY', { file: given, offset: -1 }, 'the folder has no text files', remedy);
  }
  return found;
}

async function visit(file: string, found: InputFile[], above: readonly string[]): Promise<void> {
  try {
    const info = await stat(file);
    if (info.isDirectory()) {
      const real = await realpath(file);
      if (above.includes(real)) return; // a link to a folder that it lies in
      const names = (await readdir(file)).filter((name) => !name.startsWith('.'));
      for (const name of names.sort((a, b) => (a < b ? -1 : 1))) {
        const entry = path.join(file, name);
        if (KNOWN.test(name) || (await stat(entry)).isDirectory()) await visit(entry, found, [...above, real]);
      }
      return;
    }
    if (!info.isFile()) {
      throw new TextError('TEXT_MISSING', { file, offset: -1 }, 'it is no regular file', 'Write its content to a file first.');
    }
    found.push({ file, ...formOf(file), size: info.size, modifiedMs: info.mtimeMs });
  } catch (cause) {
    throw cause instanceof TextError ? cause : missing(file, cause);
  }
}

/** Reads of a file that was listed; each throws a TextError. */
export interface OpenInput extends AsyncDisposable {
  /** Up to `length` bytes from `position`; fewer only at the end. */
  read(position: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  /** @throws {TextError} TEXT_CHANGED unless size and time are those that were listed */
  expectUnchanged(): Promise<void>;
}

/** @param onRead told how many bytes each read gave @throws {TextError} TEXT_MISSING, TEXT_CHANGED */
export async function openInput(input: InputFile, onRead?: (bytes: number) => void): Promise<OpenInput> {
  const { file } = input;
  const named = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (cause) {
      throw missing(file, cause);
    }
  };
  const handle = await named(open(file));
  const expectUnchanged = async () => {
    const { size, mtimeMs } = await named(handle.stat());
    if (size === input.size && mtimeMs === input.modifiedMs) return;
    const what = `it changed while it was read: ${size} bytes, listed with ${input.size}`;
    throw new TextError('TEXT_CHANGED', { file, offset: -1 }, what, 'Run the command again once nothing writes to the file.');
  };
  try {
    await expectUnchanged();
  } catch (error) {
    await named(handle.close());
    throw error;
  }
  return {
    expectUnchanged,
    async read(position, length) {
      const buffer = new Uint8Array(length);
      let filled = 0;
      while (filled < length) {
        const { bytesRead } = await named(handle.read(buffer, filled, length - filled, position + filled));
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      onRead?.(filled);
      return filled === length ? buffer : buffer.slice(0, filled);
    },
    [Symbol.asyncDispose]: () => named(handle.close()),
  };
}
