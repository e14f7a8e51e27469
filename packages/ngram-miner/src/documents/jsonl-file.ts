/** One JSON object a line, one document each. */
import { readBytes } from './byte-stream.js';
import { type Document, type DocumentReader, labelsOf } from './document.js';
import { linesOf } from './lines.js';
import { TextError, tooLarge } from './text-error.js';
import { decodeUtf8, expectNoZero, expectTextFile } from './utf8.js';

function parseLine(file: string, offset: number, bytes: Uint8Array, textField: string): Document | undefined {
  const line = decodeUtf8(file, bytes, offset);
  if (line.trim() === '') return undefined;
  const wrong = (what: string, cause?: unknown) =>
    new TextError('TEXT_FORMAT', { file, offset }, what, `Write one JSON object a line, with the text in field "${textField}".`, cause);
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw wrong('this line is not JSON', cause);
  }
  const field = (name: string): unknown =>
    typeof value === 'object' && value !== null && Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined;
  const text = field(textField);
  if (typeof text !== 'string') throw wrong(`this line has no text in field "${textField}"`);
  return { text, file, offset, ...labelsOf(field) };
}

export const readJsonlFile: DocumentReader = async function* (input, source, { textField, onFault }) {
  const { file, from, to } = source;
  // One byte earlier: a line begins at `from` if a line end lies before it.
  const start = from === 0 ? 0 : from - 1;
  const end = to < source.size ? to : Number.POSITIVE_INFINITY; // a packed file has more bytes than its size

  for await (const { offset, bytes } of linesOf(readBytes(input, source, start), start)) {
    if (offset < from) continue;
    if (offset >= end) return;
    if (bytes !== undefined) {
      if (offset === 0) expectTextFile(file, bytes);
      expectNoZero(file, bytes, offset);
    }
    let document: Document | undefined;
    try {
      if (bytes === undefined) throw tooLarge(file, offset);
      document = parseLine(file, offset, bytes, textField);
    } catch (fault) {
      if (!(fault instanceof TextError)) throw fault;
      onFault(fault);
      continue;
    }
    if (document !== undefined) yield document;
  }
};
