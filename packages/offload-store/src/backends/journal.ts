/**
 * The journals of an unfinished file store: which rows are on the disk for certain. Every writer appends to one of its own, numbered in the
 * order in which writers came, so that replaying them in that order gives what is there. A record is written beside the rows that it speaks of and
 * synced at the same time as they are, so a journal's last record may have come to the disk without its rows: it holds their checksum. Those before
 * it were synced with their rows before it was begun. A record cut short by a kill or a full disk ends its journal.
 *
 * A record: u32 bytes of the payload, u32 its CRC-32, both little-endian; the payload is MessagePack: [sequence number, kind, CRC-32 of the rows, first
 * row, rows, first row, rows, ...] with kind 1 written, 2 to be replaced (checksum 0).
 */
import { type FileHandle, open, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { syncDirectory } from '@sconelm/artifact';
import { pack, unpack } from 'msgpackr';
import type { RowRange } from '../backend.js';
import type { RowSet } from '../row-set.js';
import type { DataFiles, Ranges } from './file-rows.js';

const headerBytes = 8;
const written = 1;
const replaced = 2;

export class Journal {
  readonly #file: FileHandle;
  readonly #data: DataFiles;
  #position: number;
  #sequence: number;

  private constructor(file: FileHandle, data: DataFiles, { position, sequence }: End) {
    this.#file = file;
    this.#data = data;
    this.#position = position;
    this.#sequence = sequence;
  }

  /**
   * Brings `rows` up to date with the journals in a folder and opens one to append to: the last, if it is of the same range, less what does not
   * check at its end; else a new one. Two at a time in one folder must not overlap.
   * @param data where the rows are that the journals speak of
   */
  static async open(directory: string, range: RowRange, rows: RowSet, data: DataFiles): Promise<Journal> {
    const names = (await readdir(directory)).filter((name) => /^journal-\d+-\d+-\d+\.bin$/.test(name)).sort(byNumber);
    let end: End = { position: 0, sequence: 0 };
    for (const name of names) end = await replay(await readFile(join(directory, name)), rows, data);
    const last = names.at(-1);
    const own = `-${range.from}-${range.to}.bin`;
    if (last?.endsWith(own) === true) return Journal.#openAt(join(directory, last), data, end);
    const path = join(directory, `journal-${last === undefined ? 0 : numberOf(last) + 1}${own}`);
    await (await open(path, 'wx')).close();
    await syncDirectory(directory);
    return Journal.#openAt(path, data, { position: 0, sequence: 0 });
  }

  static async #openAt(path: string, data: DataFiles, end: End): Promise<Journal> {
    const file = await open(path, 'r+');
    try {
      if ((await stat(path)).size > end.position) await file.truncate(end.position);
      await file.datasync(); // of a writer that was killed, the last record may not have been
      return new Journal(file, data, end);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Writes rows and the record that they are written, and syncs both at the same time. @param rows those of the ranges, one after the other */
  async written(ranges: Ranges, rows: Uint8Array): Promise<void> {
    const bytes = await this.#write(written, crc32(rows), ranges);
    await this.#data.write(ranges, rows);
    await allOf([this.#data.sync(ranges), this.#file.datasync()]);
    this.#advance(bytes);
  }

  /** Records, durably, that rows are about to be replaced: until they are recorded as written again they count as missing. */
  async replaced(ranges: Ranges): Promise<void> {
    const bytes = await this.#write(replaced, 0, ranges);
    await this.#file.datasync();
    this.#advance(bytes);
  }

  /** Writes a record. At a fixed position: after a failure the next record overwrites what is left of this one. @returns its bytes */
  async #write(kind: number, sum: number, ranges: Ranges): Promise<number> {
    const payload = pack([this.#sequence, kind, sum, ...ranges]);
    const bytes = new Uint8Array(headerBytes + payload.length);
    const header = new DataView(bytes.buffer);
    header.setUint32(0, payload.length, true);
    header.setUint32(4, crc32(payload), true);
    bytes.set(payload, headerBytes);
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#file.write(bytes, done, bytes.length - done, this.#position + done);
      done += bytesWritten;
    }
    return bytes.length;
  }

  #advance(bytes: number): void {
    this.#position += bytes;
    this.#sequence += 1;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** Where the next record goes. */
interface End {
  readonly position: number;
  readonly sequence: number;
}

/** Waits for all, then throws the first failure: none is at work any more. */
async function allOf(works: readonly Promise<void>[]): Promise<void> {
  const outcomes = await Promise.allSettled(works);
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

const numberOf = (name: string): number => Number(/\d+/.exec(name)?.[0]);
const byNumber = (a: string, b: string): number => numberOf(a) - numberOf(b);

async function replay(content: Uint8Array, rows: RowSet, data: DataFiles): Promise<End> {
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  let end: End = { position: 0, sequence: 0 };
  let last: { readonly kind: number; readonly sum: number; readonly ranges: Ranges; readonly after: End } | undefined;
  for (let position = 0; position + headerBytes <= content.length; ) {
    const start = position + headerBytes;
    const after = start + view.getUint32(position, true);
    // A tail of zeros, as a power cut may leave it, would check: it is no record.
    if (after === start || after > content.length || crc32(content.subarray(start, after)) !== view.getUint32(position + 4, true)) break;
    const [number, kind, sum, ...ranges] = unpack(content.subarray(start, after)) as number[];
    const sequence: number = last?.after.sequence ?? 0;
    if (number !== sequence) break;
    if (last !== undefined) apply(last.kind, last.ranges, rows);
    end = last?.after ?? end;
    position = after;
    last = { kind, sum, ranges, after: { position, sequence: sequence + 1 } };
  }
  if (last === undefined) return end;
  if (last.kind === written) {
    if ((await data.sum(last.ranges)) !== last.sum) return end;
    await data.sync(last.ranges); // a writer that was killed has not
  }
  apply(last.kind, last.ranges, rows);
  return last.after;
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
