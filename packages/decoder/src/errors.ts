/** What can go wrong with models and checkpoints: a stable `code`, a message that says what and where, a remedy. */
export type DecoderErrorCode =
  | 'MODEL_CONFIG'
  | 'MODEL_UNSUPPORTED'
  | 'MODEL_PATH'
  | 'MODEL_HUB'
  | 'CHECKPOINT_CORRUPT'
  | 'CHECKPOINT_MISMATCH'
  | 'CONTEXT_FULL'
  | 'SAMPLING_OPTION'
  | 'LOGITS';

export class DecoderError extends Error {
  readonly code: DecoderErrorCode;
  readonly remedy: string;
  constructor(code: DecoderErrorCode, message: string, remedy: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
    this.remedy = remedy;
  }
}
