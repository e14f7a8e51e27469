/** What can go wrong in training: a stable `code`, a message that says what and where, a remedy. */
export type TrainErrorCode =
  | 'TRAIN_DATA_SHORT'
  | 'TRAIN_DATA'
  | 'TRAIN_LOSS_NAN'
  | 'TRAIN_LOSS_SPIKE'
  | 'TRAIN_OPTION'
  | 'TRAIN_PREFLIGHT'
  | 'TRAIN_STATE'
  | 'TRAIN_TASK'
  | 'RUN_DIFFERS'
  | 'STORE_DIFFERS';

export class TrainError extends Error {
  readonly code: TrainErrorCode;
  readonly remedy: string;
  constructor(code: TrainErrorCode, message: string, remedy: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
    this.remedy = remedy;
  }
}
