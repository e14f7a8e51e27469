/**
 * Quantised matrices as tensors: `dequantize` is an ordinary f32 tensor [N, K]. A product x · Wᵀ and a gather of its rows never make it: they
 * become the ops here (`compile/simplify.ts`), whose kernels decode words as they load them. Whatever else reads it reads it decoded.
 */
import { DTypeError, ShapeError } from '../errors.js';
import { defineOp } from '../graph/op.js';
import { lowerQuantizedMatmul, quantizedProductTakesNormalized } from '../kernels/matmul/index.js';
import { lowerSumOfRows } from '../kernels/rows.js';
import { type QuantizedFormat, quantizedShapes, quantizedValue } from '../quantize.js';
import { expectShape, formatShape, sizeOf } from '../shape.js';
import { apply, expectDType, type Tensor } from '../tensor.js';

/**
 * The matrix whose words and scales these are, as {@link quantize} made them.
 * @param words u32, scales f32: of the shapes that `quantizedShapes(shape, format)` gives
 * @returns [N, K] f32
 * @throws {ShapeError | DTypeError} naming the operand
 */
export function dequantize(words: Tensor, scales: Tensor, shape: readonly [N: number, K: number], format: QuantizedFormat): Tensor {
  const expected = quantizedShapes(shape, format);
  expectShape('dequantize', { words }, expected.words);
  expectShape('dequantize', { scales }, expected.scales);
  expectDType('dequantize', { words }, 'u32');
  expectDType('dequantize', { scales }, 'f32');
  return apply(dequantizeOp, [words, scales], { shape, format });
}

export type QuantizedAttributes = { readonly shape: readonly [N: number, K: number]; readonly format: QuantizedFormat };

export const dequantizeOp = defineOp<QuantizedAttributes>({
  name: 'dequantize',
  kind: 'compute',
  infer: (_, { shape }) => [{ shape, dtype: 'f32' }],
  evaluate: ([words, scales], [y], _, { shape: [N, K], format }) => {
    const matrix = { words, scales, K, format };
    for (let n = 0; n < N; n++) for (let k = 0; k < K; k++) y[n * K + k] = quantizedValue(matrix, n, k);
  },
  gradient: () => [],
  maxEpilogueOperands: 4,
  lower: (context) => lowerSumOfRows(context, [{ kind: 'quantized', format: context.attributes.format, ids: false }]),
});

/** y[..., :] = W[ids[...], :] of words, scales and ids; zeros where an id is below zero. */
export const quantizedRowsOp = defineOp<QuantizedAttributes>({
  name: 'quantizedRows',
  kind: 'compute',
  infer: ([, , ids], { shape: [, K] }) => {
    if (ids.dtype !== 'i32') throw new DTypeError(`quantizedRows: ids are ${ids.dtype}, expected i32`);
    return [{ shape: [...ids.shape, K], dtype: 'f32' }];
  },
  evaluate: ([words, scales, ids], [y], _, { shape: [, K], format }) => {
    const matrix = { words, scales, K, format };
    for (let i = 0; i < ids.length; i++) if (ids[i] >= 0) for (let k = 0; k < K; k++) y[i * K + k] = quantizedValue(matrix, ids[i], k);
  },
  maxEpilogueOperands: 4,
  lower: (context) => lowerSumOfRows(context, [{ kind: 'quantized', format: context.attributes.format, ids: true }]),
});

/** y = x · Wᵀ of x [M, K], words and scales; N is a multiple of four, the padded rows included. */
export const quantizedMatmulOp = defineOp<QuantizedAttributes>({
  name: 'quantizedMatmul',
  kind: 'compute',
  infer: ([x], { shape: [N, K] }) => {
    if (x.dtype !== 'f32') throw new DTypeError(`matmul: operands are ${x.dtype} and quantised, expected f32 and quantised`);
    if (x.shape.length !== 2 || x.shape[1] !== K)
      throw new ShapeError(`matmul: ${formatShape(x.shape)} and quantised ${formatShape([N, K])} transposed do not fit`);
    return [{ shape: [x.shape[0], Math.ceil(N / 4) * 4], dtype: 'f32' }];
  },
  evaluate: ([x, words, scales], [y], { outputs }, { shape: [, K], format }) => {
    const [M, N] = outputs[0].shape;
    const matrix = { words, scales, K, format };
    for (let n = 0; n < N; n++) {
      const row = Float64Array.from({ length: K }, (_, k) => quantizedValue(matrix, n, k));
      for (let m = 0; m < M; m++) {
        let sum = 0;
        for (let k = 0; k < K; k++) sum += x[m * K + k] * row[k];
        y[m * N + n] = sum;
      }
    }
  },
  flops: ([x], [y]) => 2 * sizeOf(y.shape) * x.shape[1],
  maxEpilogueOperands: 4,
  takesNormalized: quantizedProductTakesNormalized,
  lower: lowerQuantizedMatmul,
});
