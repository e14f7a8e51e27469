/**
 * The journal of an unfinished file store: which rows are on the disk for certain. Records are appended after the rows they speak
 * of were synced, each with a checksum; a record cut short by a kill or a full disk ends the journal.
 *
 * A record: u32 kind (1 written, 2 to be replaced), u32 ranges, u32 sequence number, u32 CRC-32 of these three and the payload;
 * payload: per range u32 first row, u32 rows. Little-endian.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import type { RowSet } from '../row-set.js';

const headerWords = 4;
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

  /** Opens or creates a journal, brings `rows` up to date with it, and cuts off what does not check. */
  static async open(path: string, rows: RowSet): Promise<Journal> {
    const file = await open(path, 'a').then(async (made) => {
      await made.close();
      return open(path, 'r+');
    });
    try {
      const { position, sequence } = replay(await file.readFile(), rows);
      await file.truncate(position);
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
    const words = new Uint32Array(headerWords + ranges.length);
    words.set([kind, ranges.length / 2, this.#sequence]);
    words.set(ranges, headerWords);
    words[3] = checksumOf(words);
    const bytes = new Uint8Array(words.buffer);
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

function replay(content: Uint8Array, rows: RowSet): { position: number; sequence: number } {
  const words = new Uint32Array(content.slice().buffer, 0, Math.floor(content.length / 4));
  let at = 0;
  let sequence = 0;
  while (at + headerWords <= words.length) {
    const ranges = words[at + 1]!;
    const end = at + headerWords + 2 * ranges;
    if (end > words.length || words[at + 2] !== sequence) break;
    const record = words.slice(at, end);
    if (record[3] !== checksumOf(record)) break;
    apply(record, rows);
    at = end;
    sequence += 1;
  }
  return { position: at * 4, sequence };
}

function apply(record: Uint32Array, rows: RowSet): void {
  for (let i = headerWords; i < record.length; i += 2) {
    const first = record[i]!;
    const end = Math.min(first + record[i + 1]!, rows.rows);
    for (let id = first; id < end; id += 1) {
      if (record[0] === written) rows.add(id);
      else rows.remove(id);
    }
  }
}

function checksumOf(record: Uint32Array): number {
  const head = new Uint8Array(record.buffer, record.byteOffset, 12);
  const payload = new Uint8Array(record.buffer, record.byteOffset + 4 * headerWords, 4 * (record.length - headerWords));
  return crc32(payload, crc32(head));
}
