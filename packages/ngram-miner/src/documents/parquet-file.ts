/** A parquet file: one document a row, row group after row group. */
import {
  type AsyncBuffer,
  type Compressors,
  type FileMetaData,
  parquetMetadataAsync,
  parquetRead,
  parquetSchema,
  type RowGroup,
} from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { type DocumentReader, labelsOf } from './document.js';
import type { OpenInput, Source } from './input-file.js';
import { expectPages } from './parquet-pages.js';
import { MAX_DOCUMENT_BYTES, TextError, tooLarge } from './text-error.js';
import { findInvalidUtf8, textOf } from './utf8.js';

/** The columns that are read of one row group may unpack to so many bytes. */
const MAX_GROUP_BYTES = 2 ** 30;
const MAX_PAGE_BYTES = 2 ** 28;
const LABELS = ['id', 'source', 'licence', 'license'];

/** A page that claims to be larger than any real one is refused before memory is taken for it. */
const boundedCompressors: Compressors = Object.fromEntries(
  Object.entries(compressors).map(([name, unpack]) => [
    name,
    (bytes: Uint8Array, length: number) => {
      if (length > MAX_PAGE_BYTES) throw new Error(`a page of ${length} bytes is larger than ${MAX_PAGE_BYTES}`);
      return unpack(bytes, length);
    },
  ]),
);

/** Bytes stay bytes, so that text that is not UTF-8 is found. */
const parsers = { stringFromBytes: (bytes: Uint8Array) => bytes };

const damaged = (file: string, row: number, cause: unknown) =>
  new TextError(
    'TEXT_FORMAT',
    { file, offset: row },
    `the parquet file is damaged or truncated: ${cause instanceof Error ? cause.message : String(cause)}`,
    'Copy the file again.',
    cause,
  );

function bufferOf(input: OpenInput, { size }: Source): AsyncBuffer {
  return {
    byteLength: size,
    async slice(start, end = size) {
      if (start < 0 || end > size || start > end) throw new Error(`bytes ${start} to ${end} of ${size} are asked for`);
      return (await input.read(start, end - start)).buffer;
    },
  };
}

const utf8 = new TextEncoder();
/** A column of strings gives bytes, one of another type what it holds; texts in dictionaries may come as text. */
const bytesOf = (value: unknown): Uint8Array | undefined =>
  value instanceof Uint8Array ? value : typeof value === 'string' ? utf8.encode(value) : undefined;

/** Columns of one value a row. */
const flatColumns = (metadata: FileMetaData): string[] =>
  parquetSchema(metadata)
    .children.filter(({ children, element }) => children.length === 0 && element.repetition_type !== 'REPEATED')
    .map(({ element }) => element.name);

interface Part {
  readonly group: RowGroup;
  readonly firstRow: number;
  readonly rows: number;
}

/** The row groups that begin in the source's range. */
function groupsOf(metadata: FileMetaData, { file, from, to }: Source, columns: readonly string[]): Part[] {
  const found: Part[] = [];
  let firstRow = 0;
  for (const group of metadata.row_groups) {
    const rows = Number(group.num_rows);
    const parts = group.columns.map(({ meta_data: part }) => part).filter((part) => part !== undefined);
    const start = Math.min(...parts.map((part) => Number(part.dictionary_page_offset ?? part.data_page_offset)));
    const bytes = parts.reduce(
      (sum, part) => sum + (columns.includes(part.path_in_schema[0]) ? Number(part.total_uncompressed_size) : 0),
      0,
    );
    if (bytes > MAX_GROUP_BYTES) {
      const what = `a row group unpacks to ${bytes} bytes, more than ${MAX_GROUP_BYTES}`;
      throw new TextError('TEXT_TOO_LARGE', { file, offset: firstRow }, what, 'Write the file with smaller row groups.');
    }
    if (start >= from && start < to) found.push({ group, firstRow, rows });
    firstRow += rows;
  }
  return found;
}

export const readParquetFile: DocumentReader = async function* (input, source, { textField, onFault }) {
  const { file } = source;
  const buffer = bufferOf(input, source);
  let metadata: FileMetaData;
  try {
    metadata = await parquetMetadataAsync(buffer);
  } catch (cause) {
    throw cause instanceof TextError ? cause : damaged(file, -1, cause);
  }
  const names = flatColumns(metadata);
  if (!names.includes(textField)) {
    const what = `there is no column "${textField}" among ${names
      .slice(0, 12)
      .map((name) => `"${name}"`)
      .join(', ')}`;
    throw new TextError('TEXT_FORMAT', { file, offset: -1 }, what, 'Name the column that holds the text.');
  }
  const columns = [textField, ...LABELS.filter((name) => name !== textField && names.includes(name))];
  for (const { group, firstRow, rows } of groupsOf(metadata, source, columns)) {
    let values: Record<string, unknown>[] = [];
    try {
      await expectPages(buffer, group, columns);
      await parquetRead({
        file: buffer,
        metadata,
        columns,
        rowStart: firstRow,
        rowEnd: firstRow + rows,
        compressors: boundedCompressors,
        parsers,
        rowFormat: 'object',
        onComplete: (found) => {
          values = found;
        },
      });
    } catch (cause) {
      throw cause instanceof TextError ? cause : damaged(file, firstRow, cause);
    }
    for (const [i, value] of values.entries()) {
      const row = firstRow + i;
      try {
        const bytes = bytesOf(value[textField]);
        if (bytes === undefined && value[textField] !== null && value[textField] !== undefined) {
          throw new TextError(
            'TEXT_FORMAT',
            { file, offset: row },
            `column "${textField}" holds no text`,
            'Name the column that holds the text.',
          );
        }
        if (bytes === undefined) continue;
        if (bytes.length > MAX_DOCUMENT_BYTES) throw tooLarge(file, row);
        yield { text: decodeText(file, row, bytes), file, offset: row, ...labelsOf((name) => labelOf(value[name])) };
      } catch (fault) {
        if (!(fault instanceof TextError)) throw fault;
        onFault(fault);
      }
    }
  }
};

const labelOf = (value: unknown): unknown => (value instanceof Uint8Array ? textOf(value) : value);

function decodeText(file: string, row: number, bytes: Uint8Array): string {
  const invalid = findInvalidUtf8(bytes);
  if (invalid < 0) return textOf(bytes);
  const what = `its text is not UTF-8 at byte ${invalid}`;
  throw new TextError('TEXT_NOT_UTF8', { file, offset: row }, what, 'Write the column as UTF-8 strings.');
}
