/** Rows as a store keeps them, decoded; and sums of rows that are gathered or decoded, which are one dispatch: what an embedding is made of. */
import { DTypeError, ShapeError } from '../errors.js';
import { defineOp, type Op } from '../graph/op.js';
import { gatherRowsOp } from '../graph/primitives/gather.js';
import { type PackedRowDtype, packedRowWords, packedValue } from '../kernels/packed-rows.js';
import { lowerSumOfRows, operandsOf, type RowTerm } from '../kernels/rows.js';
import { formatShape, type Shape, sameShape } from '../shape.js';
import { apply, type Tensor } from '../tensor.js';
import { type QuantizedAttributes, quantizedRowsOp } from './quantized.js';

/**
 * Rows [n, width] f32 out of rows as a store of them keeps them.
 * @param words [n, packedRowWords(dtype, width)] u32
 * @throws {ShapeError | DTypeError} naming the operand
 */
export function decodeRows(words: Tensor, width: number, dtype: PackedRowDtype): Tensor {
  return apply(decodeRowsOp, [words], { width, dtype });
}

type DecodeAttributes = { readonly width: number; readonly dtype: PackedRowDtype };

export const decodeRowsOp = defineOp<DecodeAttributes>({
  name: 'decodeRows',
  kind: 'compute',
  infer: ([words], { width, dtype }) => {
    if (words.dtype !== 'u32') throw new DTypeError(`decodeRows: words are ${words.dtype}, expected u32`);
    const expected = packedRowWords(dtype, width);
    if (words.shape.length !== 2 || words.shape[1] !== expected)
      throw new ShapeError(`decodeRows: words are ${formatShape(words.shape)}, expected [n, ${expected}] for ${dtype} rows of ${width}`);
    return [{ shape: [words.shape[0], width], dtype: 'f32' }];
  },
  evaluate: ([words], [y], { inputs }, { width, dtype }) => {
    const [rows, stride] = inputs[0].shape;
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < width; column++) y[row * width + column] = packedValue(words, row * stride, column, dtype, width);
  },
  gradient: () => [],
  maxEpilogueOperands: 4,
  lower: (context) => lowerSumOfRows(context, [{ kind: 'packed', dtype: context.attributes.dtype }]),
});

/** One application of `gatherRows`, `quantizedRows` or `decodeRows`. */
interface Gathered {
  readonly op: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

type SumAttributes = { readonly terms: readonly Gathered[]; readonly shape: Shape };

function termOf({ op, attributes }: Gathered): RowTerm {
  if (op === gatherRowsOp.name) return { kind: 'table' };
  if (op === decodeRowsOp.name) return { kind: 'packed', dtype: (attributes as DecodeAttributes).dtype };
  return { kind: 'quantized', format: (attributes as QuantizedAttributes).format, ids: true };
}

const gathering: ReadonlyMap<string, Op> = new Map(
  ([gatherRowsOp, quantizedRowsOp, decodeRowsOp] as unknown as Op[]).map((op) => [op.name, op]),
);

export const sumOfRowsOp = defineOp<SumAttributes>({
  name: 'sumOfRows',
  kind: 'compute',
  infer: (_, { shape }) => [{ shape, dtype: 'f32' }],
  define: (inputs, { terms }) => {
    let next = 0;
    const rows = terms.map((term) => {
      const operands = inputs.slice(next, next + operandsOf(termOf(term)));
      next += operands.length;
      const op = gathering.get(term.op);
      if (op === undefined) throw new Error(`unreachable: ${term.op} gathers no rows`);
      return apply(op, operands, term.attributes);
    });
    return [rows.reduce((sum, row) => sum.add(row))];
  },
  maxEpilogueOperands: 1,
  lower: (context) => lowerSumOfRows(context, context.attributes.terms.map(termOf)),
});

/** Bindings that WebGPU promises, less the result and an operand of an epilogue. */
const MAX_OPERANDS = 6;

/** x + y as one op, where both are rows that are gathered or decoded, or sums of such. */
export function sumOfRows(x: Tensor, y: Tensor): Tensor | undefined {
  const sums = [x, y].map(({ node }) => {
    if (node.op.name === sumOfRowsOp.name) return (node.attributes as SumAttributes).terms;
    return gathering.has(node.op.name) ? [{ op: node.op.name, attributes: node.attributes }] : undefined;
  });
  const [left, right] = sums;
  const operands = [...x.node.inputs, ...y.node.inputs];
  // The sum runs from the left; a sum on the right would have another order.
  const fits = left !== undefined && right?.length === 1 && operands.length <= MAX_OPERANDS;
  if (!fits || x.dtype !== 'f32' || y.dtype !== 'f32' || !sameShape(x.shape, y.shape)) return undefined;
  return apply(sumOfRowsOp, operands, { terms: [...left, ...right], shape: x.shape });
}
