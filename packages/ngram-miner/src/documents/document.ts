/** A document, where it is from, and what a reader of a format is. */
import type { OpenInput, Source } from './input-file.js';
import type { TextError } from './text-error.js';

/** What JSONL and parquet say about a document, in fields of these names (`license` is `licence` too). */
export interface DocumentLabels {
  readonly id?: string;
  readonly source?: string;
  readonly licence?: string;
}

export interface Document extends DocumentLabels {
  readonly text: string;
  readonly file: string;
  /** Its first byte in the unpacked file; of a parquet file, its row. */
  readonly offset: number;
}

export interface ReadOptions {
  /** Of JSONL and parquet: the field with the text; `text` if absent. */
  readonly textField?: string;
  /** Is told of each fault and throws to stop there, which is the default; where it returns, reading goes on after the faulty part. */
  readonly onFault?: (fault: TextError) => void;
}

/** Documents of one source. Throws a TextError where the rest of the file cannot be read; less is reported to `onFault`. */
export type DocumentReader = (input: OpenInput, source: Source, options: Required<ReadOptions>) => AsyncGenerator<Document>;

/** @param field gives the value of a field */
export function labelsOf(field: (name: string) => unknown): DocumentLabels {
  const text = (...names: string[]): string | undefined => {
    for (const name of names) {
      const value = field(name);
      if (typeof value === 'string') return value;
      if (typeof value === 'number' || typeof value === 'bigint') return String(value);
    }
    return undefined;
  };
  const [id, source, licence] = [text('id'), text('source'), text('licence', 'license')];
  return {
    ...(id === undefined ? {} : { id }),
    ...(source === undefined ? {} : { source }),
    ...(licence === undefined ? {} : { licence }),
  };
}
