/**
 * Counted n-grams on their way from the threads to the ranking: one record each, in lexicographic order, an n-gram before those that extend it, so that
 * only its last token need be said; single tokens are there to start with. A record: a byte, length − 1 in its upper three bits and min(count − minCount, 31) below; the token, u16 or u32; where
 * those five bits are all ones, the rest of the count as LEB128.
 */
import { open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { withArtifactErrors } from '@sconelm/artifact';
import { MinerError } from '../errors.js';
import type { Heading } from './plan.js';

export interface RecordForm {
  readonly minCount: number;
  readonly tokenBytes: 2 | 4;
}

export interface RecordFile {
  readonly path: string;
  readonly bytes: number;
  /** CRC-32 of the whole file. */
  readonly checksum: number;
}

export const recordTokenBytes = (vocabSize: number): 2 | 4 => (vocabSize <= 65_536 ? 2 : 4);

const LONGEST_RECORD = 16;
const READ_BYTES = 1 << 18;

export function encodeRecord({ length, token, count }: Heading, { minCount, tokenBytes }: RecordForm): Uint8Array {
  const over = count - minCount;
  const bytes = [((length - 1) << 5) | Math.min(over, 31)];
  for (let i = 0; i < tokenBytes; i++) bytes.push((token >>> (8 * i)) & 255);
  if (over >= 31) {
    let more = over - 31;
    for (; more >= 128; more = Math.floor(more / 128)) bytes.push((more % 128) | 128);
    bytes.push(more);
  }
  return Uint8Array.from(bytes);
}

export type RecordVisitor = (length: number, token: number, count: number) => void;

/** Visits the records of files one after the other. @throws {MinerError} MINE_PARTIAL where a file is damaged; {ArtifactError} */
export async function eachRecord(files: readonly RecordFile[], form: RecordForm, visit: RecordVisitor): Promise<void> {
  const buffer = new Uint8Array(READ_BYTES + LONGEST_RECORD);
  for (const { path, bytes, checksum } of files) {
    const damaged = (what: string) => new MinerError('MINE_PARTIAL', `${path} ${what}`, `Delete ${path} and its folder, then mine again.`);
    await withArtifactErrors(path, async () => {
      await using file = await open(path);
      let sum = 0;
      let kept = 0;
      for (let position = 0; position < bytes; ) {
        const { bytesRead } = await file.read(buffer, kept, Math.min(READ_BYTES, bytes - position), position);
        if (bytesRead === 0) throw damaged(`ends at byte ${position} of ${bytes}`);
        sum = crc32(buffer.subarray(kept, kept + bytesRead), sum);
        position += bytesRead;
        const filled = kept + bytesRead;
        const end = decodeRecords(buffer, position < bytes ? filled - LONGEST_RECORD : filled, form, visit);
        buffer.copyWithin(0, end, filled);
        kept = filled - end;
      }
      if (sum !== checksum) throw damaged('has another checksum than when it was written');
    });
  }
}

/** @param safe records that begin before it are there as a whole @returns where the first that was left begins */
function decodeRecords(buffer: Uint8Array, safe: number, { minCount, tokenBytes }: RecordForm, visit: RecordVisitor): number {
  let at = 0;
  while (at < safe) {
    const head = buffer[at++];
    let token = buffer[at] | (buffer[at + 1] << 8);
    if (tokenBytes === 4) token |= (buffer[at + 2] << 16) | (buffer[at + 3] << 24);
    at += tokenBytes;
    let count = minCount + (head & 31);
    if ((head & 31) === 31) {
      let scale = 1;
      let byte: number;
      do {
        byte = buffer[at++];
        count += (byte & 127) * scale;
        scale *= 128;
      } while (byte >= 128);
    }
    visit((head >>> 5) + 1, token >>> 0, count);
  }
  return at;
}
