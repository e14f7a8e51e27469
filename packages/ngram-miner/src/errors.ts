/** What can go wrong with text, tokens and f-gram sets: a stable `code`, a message that says what and where, a remedy. */
export type MinerErrorCode =
  | 'TEXT_MISSING'
  | 'TEXT_EMPTY'
  | 'TEXT_NOT_UTF8'
  | 'TEXT_FORMAT'
  | 'TEXT_TOO_LARGE'
  | 'TEXT_CHANGED'
  | 'TOKENIZER_UNSUPPORTED'
  | 'TOKENIZER_BOUNDARY'
  | 'TOKENIZER_TIMEOUT'
  | 'FGRAMS_CORRUPT'
  | 'FGRAMS_LIMIT'
  | 'FGRAMS_FETCH'
  | 'THREAD_FAILED'
  | 'DATASET_CORRUPT'
  | 'SHARDS_INVALID'
  | 'PREPARE_OPTION'
  | 'MINE_OPTION'
  | 'MINE_MEMORY'
  | 'MINE_PARTIAL'
  | 'MINE_PARTS'
  | 'SOURCES_MISMATCH'
  | 'SOURCES_UNNAMED';

export class MinerError extends Error {
  readonly code: MinerErrorCode;
  readonly remedy: string;
  constructor(code: MinerErrorCode, message: string, remedy: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
    this.remedy = remedy;
  }
}
