/** Cross-entropy of integer targets. The forward op keeps the log-sum-exp of each row, so that the backward pass is one elementwise chain. */
import { ShapeError } from '../errors.js';
import { checkpoint } from '../graph/custom.js';
import { defineOp } from '../graph/op.js';
import { lowerCrossEntropy } from '../kernels/cross-entropy.js';
import { expectShape, formatShape } from '../shape.js';
import { applyAll, concat, expectDType, expectFloat, iota, type Tensor, zeros } from '../tensor.js';

/**
 * −log softmax(logits)[target] of each row, in nats; a target below zero leaves its row out (loss and gradient zero).
 * @param logits [N, V] f32
 * @param targets [N] i32
 * @returns [N]
 * @throws {ShapeError | DTypeError}
 */
export function crossEntropy(logits: Tensor, targets: Tensor): Tensor {
  if (logits.rank !== 2) throw new ShapeError(`crossEntropy: logits are ${formatShape(logits.shape)}, expected [N, V]`);
  expectShape('crossEntropy', { targets }, [logits.shape[0]]);
  expectFloat('crossEntropy', { logits });
  expectDType('crossEntropy', { targets }, 'i32');
  return applyAll(crossEntropyOp, [logits, targets], {})[0];
}

/**
 * Cross-entropy of the logits `hidden` · `weight`ᵀ, in chunks of rows whose logits are computed again in the backward pass: the [N, V] matrix
 * never exists, a chunk of it does.
 * @param hidden [N, D] f32
 * @param weight [V, D] f32
 * @param targets [N] i32; below zero: left out
 * @param options `chunks`: how many; the last may be shorter
 * @returns [N]
 * @throws {ShapeError | DTypeError}
 */
export function linearCrossEntropy(hidden: Tensor, weight: Tensor, targets: Tensor, { chunks }: { readonly chunks: number }): Tensor {
  const [N, D] = hidden.shape;
  const size = Math.ceil(N / Math.max(1, chunks));
  const starts = Array.from({ length: Math.ceil(N / size) }, (_, i) => i * size);
  return concat(
    starts.map((start) => {
      const count = Math.min(size, N - start);
      const wanted = targets.slice([start], [count]);
      const rows = hidden.slice([start, 0], [count, D]);
      return checkpoint([rows, weight], (h, w) => [crossEntropy(h.matmul(w, { transposeB: true }), wanted)])[0];
    }),
  );
}

const column = (x: Tensor) => x.reshape([x.shape[0], 1]);

/** Outputs: the losses [N] and the log-sum-exp of each row [N]. */
export const crossEntropyOp = defineOp<Readonly<Record<string, never>>>({
  name: 'crossEntropy',
  kind: 'compute',
  infer: ([logits]) => [
    { shape: [logits.shape[0]], dtype: 'f32' },
    { shape: [logits.shape[0]], dtype: 'f32' },
  ],
  define: ([given, targets]) => {
    const logits = given.cast('f32');
    const max = logits.max(-1, { keepDims: true });
    const logSumExp = logits
      .sub(max)
      .exp()
      .sum(-1)
      .log()
      .add(max.reshape([logits.shape[0]]));
    const picked = iota(logits.shape).equal(column(targets)).where(logits, 0).sum(-1);
    return [targets.less(0).where(zeros(targets.shape), logSumExp.sub(picked)), logSumExp];
  },
  // d loss / d logits = softmax − onehot(target)
  gradient: ([dloss, dlse], [logits, targets], _, [, logSumExp]) => {
    const probabilities = logits.cast('f32').sub(column(logSumExp)).exp();
    const weight = dloss === undefined ? undefined : column(targets.less(0).where(zeros(targets.shape), dloss));
    const fromLoss =
      weight === undefined
        ? undefined
        : probabilities.sub(iota(logits.shape).equal(column(targets)).where(zeros(logits.shape).add(1), 0)).mul(weight);
    const fromLse = dlse === undefined ? undefined : probabilities.mul(column(dlse));
    const total = fromLoss === undefined ? fromLse : fromLse === undefined ? fromLoss : fromLoss.add(fromLse);
    return [total?.cast(logits.dtype)];
  },
  lower: lowerCrossEntropy,
});
