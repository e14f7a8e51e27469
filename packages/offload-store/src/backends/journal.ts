/**
 * The journals of an unfinished file store: which rows are on the disk for certain. Every writer appends to one of its own, numbered in the
 * order in which writers came, so that replaying them in that order gives what is there. Records are appended after the rows they speak of
 * were synced, each with a checksum; a record cut short by a kill or a full disk ends its journal.
 *
 * A record: u32 bytes of the payload, u32 its CRC-32, both little-endian; the payload is MessagePack: [sequence number, kind, first row, rows,
 * first row, rows, ...] with kind 1 written, 2 to be replaced.
 */
import { type FileHandle, open, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { syncDirectory } from '@sconelm/artifact';
import { pack, unpack } from 'msgpackr';
import type { RowRange } from '../backend.js';
import type { RowSet } from '../row-set.js';

const headerBytes = 8;
const written = 1;
const replaced = 2;

/** Ranges of rows, flat: first, rows, first, rows, ... */
export type Ranges = readonly number[];

export class Journal {
  readonly #file: FileHandle;
  #position: number;
  #sequence: number;

  private constructor(file: FileHandle, position: number, sequence: number) {
    this.#file = file;
    this.#position = position;
    this.#sequence = sequence;
  }

  /**
   * Brings `rows` up to date with the journals in a folder and opens one to append to: the last, if it is of the same range, less what does not
   * check at its end; else a new one. Two at a time in one folder must not overlap.
   */
  static async open(directory: string, range: RowRange, rows: RowSet): Promise<Journal> {
    const names = (await readdir(directory)).filter((name) => /^journal-\d+-\d+-\d+\.bin$/.test(name)).sort(byNumber);
    let end = { position: 0, sequence: 0 };
    for (const name of names) end = replay(await readFile(join(directory, name)), rows);
    const last = names.at(-1);
    const own = `-${range.from}-${range.to}.bin`;
    if (last?.endsWith(own) === true) return Journal.#openAt(join(directory, last), end);
    const path = join(directory, `journal-${last === undefined ? 0 : numberOf(last) + 1}${own}`);
    await (await open(path, 'wx')).close();
    await syncDirectory(directory);
    return Journal.#openAt(path, { position: 0, sequence: 0 });
  }

  static async #openAt(path: string, { position, sequence }: { readonly position: number; readonly sequence: number }): Promise<Journal> {
    const file = await open(path, 'r+');
    try {
      if ((await stat(path)).size > position) await file.truncate(position);
      return new Journal(file, position, sequence);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Records rows as written, durably. They must be on the disk already. */
  written(ranges: Ranges): Promise<void> {
    return this.#append(written, ranges);
  }

  /** Records, durably, that rows are about to be replaced: until they are recorded as written again they count as missing. */
  replaced(ranges: Ranges): Promise<void> {
    return this.#append(replaced, ranges);
  }

  async #append(kind: number, ranges: Ranges): Promise<void> {
    const payload = pack([this.#sequence, kind, ...ranges]);
    const bytes = new Uint8Array(headerBytes + payload.length);
    const header = new DataView(bytes.buffer);
    header.setUint32(0, payload.length, true);
    header.setUint32(4, crc32(payload), true);
    bytes.set(payload, headerBytes);
    // At a fixed position: after a failure the next record overwrites what is left of this one.
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#file.write(bytes, done, bytes.length - done, this.#position + done);
      done += bytesWritten;
    }
    await this.#file.datasync();
    this.#position += bytes.length;
    this.#sequence += 1;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

const numberOf = (name: string): number => Number(/\d+/.exec(name)?.[0]);
const byNumber = (a: string, b: string): number => numberOf(a) - numberOf(b);

function replay(content: Uint8Array, rows: RowSet): { position: number; sequence: number } {
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  let position = 0;
  let sequence = 0;
  while (position + headerBytes <= content.length) {
    const start = position + headerBytes;
    const end = start + view.getUint32(position, true);
    // A tail of zeros, as a power cut may leave it, would check: it is no record.
    if (end === start || end > content.length || crc32(content.subarray(start, end)) !== view.getUint32(position + 4, true)) break;
    const [number, kind, ...ranges] = unpack(content.subarray(start, end)) as number[];
    if (number !== sequence) break;
    apply(kind, ranges, rows);
    position = end;
    sequence += 1;
  }
  return { position, sequence };
}

function apply(kind: number, ranges: Ranges, rows: RowSet): void {
  for (let i = 0; i < ranges.length; i += 2) {
    const end = Math.min(ranges[i] + ranges[i + 1], rows.rows);
    for (let id = ranges[i]; id < end; id += 1) {
      if (kind === written) rows.add(id);
      else rows.remove(id);
    }
  }
}
