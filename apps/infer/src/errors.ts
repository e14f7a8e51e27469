/** What can go wrong in inference: a stable `code`, a message that says what and where, a remedy. */
export type InferErrorCode =
  | 'RUN_MIXED'
  | 'PROMPT'
  | 'TEXT_SHORT'
  | 'CONTEXT_LENGTH'
  | 'QUEUE_FULL'
  | 'ENGINE_CLOSED'
  | 'CHAT_TEMPLATE'
  | 'ROW_MISMATCH'
  | 'SERVE_OPTION'
  | 'SERVE_LISTEN'
  | 'PUBLISH_TARGET'
  | 'MODEL_FETCH'
  | 'MODEL_CORRUPT';

export class InferError extends Error {
  readonly code: InferErrorCode;
  readonly remedy: string;
  constructor(code: InferErrorCode, message: string, remedy: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
    this.remedy = remedy;
  }
}
