/** Bytes to text, strictly: a byte that is not UTF-8 is named by its place, never replaced. */
import { isUtf8 } from 'node:buffer';
import { TextError } from './text-error.js';

/** Offset of the first byte that is not part of well-formed UTF-8 (RFC 3629), −1 if all are. */
export function findInvalidUtf8(bytes: Uint8Array): number {
  if (isUtf8(bytes)) return -1;
  for (let i = 0; i < bytes.length; ) {
    const lead = bytes[i];
    if (lead < 0x80) {
      i++;
      continue;
    }
    const length = lead >= 0xc2 && lead <= 0xdf ? 2 : lead >= 0xe0 && lead <= 0xef ? 3 : lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
    if (length === 0 || i + length > bytes.length) return i;
    // The second byte's range leaves out overlong forms, surrogates and what lies beyond U+10FFFF.
    const [low, high] =
      lead === 0xe0
        ? [0xa0, 0xbf]
        : lead === 0xed
          ? [0x80, 0x9f]
          : lead === 0xf0
            ? [0x90, 0xbf]
            : lead === 0xf4
              ? [0x80, 0x8f]
              : [0x80, 0xbf];
    if (bytes[i + 1] < low || bytes[i + 1] > high) return i;
    for (let k = 2; k < length; k++) if ((bytes[i + k] & 0xc0) !== 0x80) return i;
    i += length;
  }
  throw new Error('unreachable: isUtf8 found an invalid byte');
}

/** What makes a whole file no UTF-8 text: UTF-16 (by its byte-order mark), or bytes that are zero. */
export function expectTextFile(file: string, start: Uint8Array): void {
  const [a, b] = start;
  if ((a === 0xff && b === 0xfe) || (a === 0xfe && b === 0xff)) {
    throw new TextError(
      'TEXT_NOT_UTF8',
      { file, offset: 0 },
      'it begins with the byte-order mark of UTF-16',
      'Convert it: iconv -f UTF-16 -t UTF-8.',
    );
  }
}

/**
 * Text of bytes; a UTF-8 byte-order mark at the file's start is left out, line ends stay as they are.
 * @param offset where the bytes begin in the file
 * @throws {TextError} TEXT_NOT_UTF8
 */
export function decodeUtf8(file: string, bytes: Uint8Array, offset: number): string {
  const invalid = findInvalidUtf8(bytes);
  if (invalid >= 0) {
    const hex = bytes[invalid].toString(16).padStart(2, '0');
    throw new TextError(
      'TEXT_NOT_UTF8',
      { file, offset: offset + invalid },
      `0x${hex} is not UTF-8 here`,
      'Convert the file to UTF-8 (from Latin-1: iconv -f LATIN1 -t UTF-8).',
    );
  }
  const isMarked = offset === 0 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  return textOf(isMarked ? bytes.subarray(3) : bytes);
}

/** Text of bytes that are known to be UTF-8. */
export const textOf = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');

/** @throws {TextError} TEXT_NOT_UTF8 if one of the bytes is zero, which no text has */
export function expectNoZero(file: string, bytes: Uint8Array, offset: number): void {
  const zero = bytes.indexOf(0);
  if (zero < 0) return;
  throw new TextError(
    'TEXT_NOT_UTF8',
    { file, offset: offset + zero },
    'the byte is zero, so this is a binary file',
    'Leave this file out, or convert it to UTF-8 text.',
  );
}
