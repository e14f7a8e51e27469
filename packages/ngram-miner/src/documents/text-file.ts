/** A text file is one document. */
import { readBytes } from './byte-stream.js';
import type { DocumentReader } from './document.js';
import { MAX_DOCUMENT_BYTES, tooLarge } from './text-error.js';
import { decodeUtf8, expectNoZero, expectTextFile } from './utf8.js';

export const readTextFile: DocumentReader = async function* (input, source) {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of readBytes(input, source)) {
    if (size === 0) expectTextFile(source.file, part);
    expectNoZero(source.file, part, size);
    parts.push(part);
    size += part.length;
    if (size > MAX_DOCUMENT_BYTES) throw tooLarge(source.file, 0);
  }
  yield { text: decodeUtf8(source.file, Buffer.concat(parts), 0), file: source.file, offset: 0 };
};
