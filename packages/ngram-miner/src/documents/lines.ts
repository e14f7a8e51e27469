/** Bytes to lines, in bounded memory. */
import { MAX_DOCUMENT_BYTES } from './text-error.js';

export interface Line {
  readonly offset: number;
  /** Absent where the line is too long. */
  readonly bytes?: Uint8Array;
}

const NEWLINE = 10;

/** Lines without their ends. @param start offset of the first byte of `chunks` */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>, start = 0): AsyncGenerator<Line> {
  let parts: Uint8Array[] = [];
  let size = 0;
  let offset = start;
  const add = (part: Uint8Array) => {
    size += part.length;
    if (size <= MAX_DOCUMENT_BYTES) parts.push(part);
    else parts = [];
  };
  const line = (): Line => {
    const found = size > MAX_DOCUMENT_BYTES ? { offset } : { offset, bytes: parts.length === 1 ? parts[0] : Buffer.concat(parts) };
    parts = [];
    return found;
  };
  for await (const chunk of chunks) {
    let at = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, at)) {
      add(chunk.subarray(at, end));
      yield line();
      offset += size + 1;
      size = 0;
      at = end + 1;
    }
    add(chunk.subarray(at));
  }
  if (size > 0) yield line();
}
