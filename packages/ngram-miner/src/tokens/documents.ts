/** Documents from files: .txt (one each) and .jsonl (one a line, field `text`), either also as .gz. */
import { readFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { MinerError } from '../errors.js';

function decode(file: string, bytes: Uint8Array): string {
  const notText = (what: string, cause?: unknown) =>
    new MinerError('TEXT_NOT_UTF8', `${file}: ${what}`, 'Convert the file to UTF-8 text.', cause);
  const zero = bytes.indexOf(0);
  if (zero >= 0) throw notText(`byte ${zero} is zero, so this is a binary file`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw notText('it is not UTF-8', cause);
  }
}

function textOfLine(file: string, line: string, number: number): string {
  const wrong = (what: string, cause?: unknown) =>
    new MinerError(
      'TEXT_FORMAT',
      `${file}, line ${number}: ${what}`,
      'Write one JSON object a line, with the text in field "text".',
      cause,
    );
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw wrong('this is not JSON', cause);
  }
  const text = typeof value === 'object' && value !== null && 'text' in value ? value.text : undefined;
  if (typeof text !== 'string') throw wrong('there is no field "text"');
  return text;
}

/** @throws {MinerError} TEXT_MISSING, TEXT_EMPTY, TEXT_NOT_UTF8, TEXT_FORMAT; each names the file */
export async function readDocuments(files: readonly string[]): Promise<string[]> {
  const documents: string[] = [];
  for (const file of files) {
    let bytes: Uint8Array;
    try {
      bytes = await readFile(file);
    } catch (cause) {
      throw new MinerError('TEXT_MISSING', `${file} cannot be read`, 'Check the path and its permissions.', cause);
    }
    if (file.endsWith('.gz')) {
      try {
        bytes = gunzipSync(bytes);
      } catch (cause) {
        throw new MinerError('TEXT_FORMAT', `${file} is not a whole gzip file`, 'Copy the file again.', cause);
      }
    }
    const text = decode(file, bytes);
    const found = /\.jsonl(\.gz)?$/.test(file)
      ? text.split('\n').flatMap((line, i) => (line.trim() === '' ? [] : [textOfLine(file, line, i + 1)]))
      : [text];
    if (found.every((document) => document.trim() === ''))
      throw new MinerError('TEXT_EMPTY', `${file} has no text`, 'Give files with text.');
    documents.push(...found.filter((document) => document !== ''));
  }
  return documents;
}
