/** What is wrong with a text file, and where: an error that stops the work, or a fault that is counted while the rest goes on. */
import { MinerError, type MinerErrorCode } from '../errors.js';

export class TextError extends MinerError {
  readonly file: string;
  /** Byte of the unpacked text, or row of a table; −1 where it is about the whole file. */
  readonly offset: number;
  constructor(code: MinerErrorCode, at: { readonly file: string; readonly offset: number }, what: string, remedy: string, cause?: unknown) {
    super(code, `${at.file}${at.offset < 0 ? '' : `, ${isTable(at.file) ? 'row' : 'byte'} ${at.offset}`}: ${what}`, remedy, cause);
    this.file = at.file;
    this.offset = at.offset;
  }
}

export const isTable = (file: string): boolean => /\.parquet$/i.test(file);

/** Larger ones are refused: the longest text that one JavaScript string and its tokens are safe with. */
export const MAX_DOCUMENT_BYTES = 256 * 2 ** 20;

export const tooLarge = (file: string, offset: number): TextError =>
  new TextError(
    'TEXT_TOO_LARGE',
    { file, offset },
    `a document of more than ${MAX_DOCUMENT_BYTES} bytes begins here`,
    'Split it into several documents.',
  );
