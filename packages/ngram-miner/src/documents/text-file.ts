/** A text file is one document; where it is too long for one, it is cut behind the last line that fits. */
import { readBytes } from './byte-stream.js';
import type { DocumentReader } from './document.js';
import { MAX_DOCUMENT_BYTES, tooLarge } from './text-error.js';
import { decodeUtf8, expectNoZero, expectTextFile } from './utf8.js';

const NEWLINE = 10;

export const readTextFile: DocumentReader = async function* (input, source) {
  const { file } = source;
  let parts: Uint8Array[] = [];
  let size = 0;
  /** Where the document at hand begins. */
  let offset = 0;
  const take = () => {
    const text = decodeUtf8(file, Buffer.concat(parts), offset);
    const document = { text, file, offset };
    offset += size;
    parts = [];
    size = 0;
    return document;
  };
  const add = (part: Uint8Array) => {
    parts.push(part);
    size += part.length;
  };
  for await (const part of readBytes(input, source)) {
    if (offset + size === 0) expectTextFile(file, part);
    expectNoZero(file, part, offset + size);
    if (size + part.length <= MAX_DOCUMENT_BYTES) {
      add(part);
      continue;
    }
    const all = Buffer.concat(parts);
    const end = all.lastIndexOf(NEWLINE) + 1;
    if (end === 0) throw tooLarge(file, offset);
    const rest = all.subarray(end);
    parts = [all.subarray(0, end)];
    size = end;
    yield take();
    add(rest);
    add(part);
  }
  yield take();
};
