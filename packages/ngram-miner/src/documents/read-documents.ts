/** Documents out of files, one after the other, in bounded memory. */
import type { Document, DocumentReader, ReadOptions } from './document.js';
import { listInputs, openInput, type Source, type TextFormat } from './input-file.js';
import { readJsonlFile } from './jsonl-file.js';
import { TextError } from './text-error.js';
import { readTextFile } from './text-file.js';

const READERS: Readonly<Record<TextFormat, () => DocumentReader | Promise<DocumentReader>>> = {
  text: () => readTextFile,
  jsonl: () => readJsonlFile,
  // Its library takes a third of the time that this package takes to load.
  parquet: async () => (await import('./parquet-file.js')).readParquetFile,
};

/**
 * Documents of one source that have more than white space. After a fault that `onFault` lets pass, reading goes on with the next line or row, or,
 * where the file cannot be read on, ends.
 * @param onRead told how many bytes of the file were read
 */
export async function* readSource(
  source: Source,
  { textField = 'text', onFault, onRead }: ReadOptions & { readonly onRead?: (bytes: number) => void },
): AsyncGenerator<Document> {
  let count = 0;
  const report = (fault: TextError): void => {
    count++;
    if (onFault === undefined) throw fault;
    onFault(fault);
  };
  const reading = readAll(source, { textField, onFault: report, ...(onRead === undefined ? {} : { onRead }) });
  try {
    for await (const document of reading) {
      if (!/\S/.test(document.text)) continue;
      count++;
      yield document;
    }
  } catch (error) {
    if (!(error instanceof TextError)) throw error;
    report(error);
    return;
  }
  if (count > 0 || source.from > 0 || source.to < source.size) return;
  report(new TextError('TEXT_EMPTY', { file: source.file, offset: -1 }, 'it has no text', 'Leave this file out, or give one with text.'));
}

async function* readAll(
  source: Source,
  { onRead, ...options }: Required<ReadOptions> & { readonly onRead?: (bytes: number) => void },
): AsyncGenerator<Document> {
  await using input = await openInput(source, onRead);
  const read = await READERS[source.format]();
  yield* read(input, source, options);
  await input.expectUnchanged();
}

/**
 * Documents of files and folders: .txt (and any other file that is named) is one document; .jsonl has one a line, .parquet one a row; .gz and .zst
 * are unpacked. Byte-order marks of UTF-8 are left out, everything else of a text stays as it is.
 * @throws {TextError} TEXT_MISSING, TEXT_EMPTY, TEXT_NOT_UTF8, TEXT_FORMAT, TEXT_TOO_LARGE, TEXT_CHANGED; each names file and byte or row
 */
export async function* readDocuments(paths: readonly string[], options: ReadOptions = {}): AsyncGenerator<Document> {
  for (const input of await listInputs(paths)) yield* readSource({ ...input, from: 0, to: input.size }, options);
}
