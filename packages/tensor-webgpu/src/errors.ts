/** Every error of the package: a stable `code`, what happened and where, and one sentence on what to do. */

export class TensorError extends Error {
  readonly code: string;
  readonly remedy: string;
  constructor(code: string, message: string, options: { remedy: string; cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.remedy = options.remedy;
  }
}

/** Operands whose shapes do not fit; thrown at the line that builds the op. */
export class ShapeError extends TensorError {
  constructor(message: string, remedy = 'Check the shapes of the operands at the line that builds this op.') {
    super('TENSOR_SHAPE', message, { remedy });
  }
}

/** An operand of the wrong dtype; thrown at the line that builds the op. */
export class DTypeError extends TensorError {
  constructor(message: string, remedy = 'Cast the operand, or pass an array of the dtype the op takes.') {
    super('TENSOR_DTYPE', message, { remedy });
  }
}

/** A graph that cannot be differentiated, compiled or evaluated as asked. */
export class GraphError extends TensorError {
  constructor(message: string, remedy: string) {
    super('TENSOR_GRAPH', message, { remedy });
  }
}

/** A result read after its program ran again. */
export class StaleResultError extends TensorError {
  constructor(label: string) {
    super('TENSOR_STALE_RESULT', `result '${label}' was overwritten by a later call of its program`, {
      remedy: 'Read results before the next call, or keep one with a variable.',
    });
  }
}

/** Something used after it was disposed. */
export class DisposedError extends TensorError {
  constructor(what: string) {
    super('TENSOR_DISPOSED', `${what} was disposed`, { remedy: 'Keep it until all programs that use it are done.' });
  }
}

/** An op that computed NaN or an infinity, in a program compiled with `checkNumbers`. */
export class NumberError extends TensorError {
  readonly op: string;
  constructor(op: string, kernel: string, position: string) {
    super('TENSOR_NOT_FINITE', `${op} (kernel ${kernel}, ${position}) is the first op whose output is not finite`, {
      remedy: 'Look at what this op is given: a logarithm or division of zero, an overflow, a learning rate too high.',
    });
    this.op = op;
  }
}

/** No adapter, an adapter that lacks what is needed, or a device that was lost. */
export class DeviceError extends TensorError {}
