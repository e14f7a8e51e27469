/** The headers of a parquet file's pages, checked before the library reads them: damaged ones make it loop or take memory without end. */
import type { AsyncBuffer, RowGroup } from 'hyparquet';
import { parquetHeader } from 'hyparquet/src/column.js';

/** Pages are unpacked at once. */
const MAX_PAGE_BYTES = 2 ** 28;
const MAX_GROUP_ROWS = 2 ** 24;

/** @param columns of flat values @throws {Error} what is wrong */
export async function expectPages(buffer: AsyncBuffer, { num_rows, columns }: RowGroup, names: readonly string[]): Promise<void> {
  if (num_rows < 0n || num_rows > BigInt(MAX_GROUP_ROWS)) throw new Error(`a row group of ${num_rows} rows`);
  for (const { meta_data: column } of columns) {
    if (column === undefined || !names.includes(column.path_in_schema[0])) continue;
    const start = Number(column.dictionary_page_offset ?? column.data_page_offset);
    const chunk = await buffer.slice(start, start + Number(column.total_compressed_size));
    const values = countValues(new DataView(chunk));
    if (values !== Number(num_rows))
      throw new Error(`the pages of "${column.path_in_schema[0]}" have ${values} values for ${num_rows} rows`);
  }
}

function countValues(view: DataView<ArrayBuffer>): number {
  const reader = { view, offset: 0 };
  let values = 0;
  while (reader.offset < view.byteLength) {
    const { type, compressed_page_size, uncompressed_page_size, ...headers } = parquetHeader(reader);
    expectSize(compressed_page_size, view.byteLength - reader.offset);
    expectSize(uncompressed_page_size, MAX_PAGE_BYTES);
    const header = {
      DATA_PAGE: headers.data_page_header,
      DATA_PAGE_V2: headers.data_page_header_v2,
      DICTIONARY_PAGE: headers.dictionary_page_header,
      INDEX_PAGE: undefined,
    }[type];
    if (header === undefined) throw new Error(`a page of type ${type} without its header`);
    expectSize(header.num_values, MAX_GROUP_ROWS);
    if ('num_rows' in header) {
      for (const size of [header.num_nulls, header.num_rows]) expectSize(size, header.num_values);
      expectSize(header.definition_levels_byte_length, compressed_page_size);
      expectSize(header.repetition_levels_byte_length, compressed_page_size);
    }
    if (type !== 'DICTIONARY_PAGE') values += header.num_values;
    reader.offset += compressed_page_size;
  }
  return values;
}

function expectSize(size: unknown, most: number): void {
  if (typeof size !== 'number' || !Number.isInteger(size) || size < 0 || size > most)
    throw new Error(`a page’s header says ${size}, at most ${most} is possible`);
}
