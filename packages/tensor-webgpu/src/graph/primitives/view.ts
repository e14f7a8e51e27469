/** Views: other arrangements of the same elements. Consumers read through their strides; only concat and pad write a copy. */
import { DTypeError, ShapeError } from '../../errors.js';
import { lowerConcat, lowerPad } from '../../kernels/copy.js';
import { formatShape, type Shape, sameShape, sizeOf, stridesOf } from '../../shape.js';
import { defineOp, type NumericArray, type TensorType } from '../op.js';

/** Copies a strided view of `x`, starting at element `offset`, into contiguous `y`. */
function gatherStrided(x: NumericArray, y: NumericArray, shape: Shape, strides: readonly number[], offset: number): void {
  const index = new Array<number>(shape.length).fill(0);
  let source = offset;
  for (let i = 0; i < y.length; i++) {
    y[i] = x[source];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      source += strides[axis];
      if (++index[axis] < shape[axis]) break;
      source -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
}

/** Where a view's elements lie in its operand: element i of axis a at offset + Σ i·strides[a]. */
export interface StridedView {
  readonly strides: readonly number[];
  readonly offset: number;
}

/** How a strided view op reads its operand, given the operand's own strides; undefined for ops that are no strided view. */
export function viewOf(
  op: string,
  input: TensorType,
  output: TensorType,
  attributes: Readonly<Record<string, unknown>>,
  strides: readonly number[],
): StridedView | undefined {
  if (op === 'transpose') return { strides: (attributes.permutation as number[]).map((axis) => strides[axis]), offset: 0 };
  if (op === 'slice')
    return { strides, offset: (attributes.starts as number[]).reduce((sum, start, axis) => sum + start * strides[axis], 0) };
  if (op === 'after') return { strides, offset: 0 };
  if (op !== 'expand') return undefined;
  const lead = output.shape.length - input.shape.length;
  return {
    strides: output.shape.map((extent, axis) =>
      axis < lead || (input.shape[axis - lead] === 1 && extent !== 1) ? 0 : strides[axis - lead],
    ),
    offset: 0,
  };
}

export const reshapeOp = defineOp<{ shape: Shape }>({
  name: 'reshape',
  kind: 'view',
  infer: ([x], { shape }) => {
    if (sizeOf(shape) !== sizeOf(x.shape))
      throw new ShapeError(`reshape: ${formatShape(x.shape)} has ${sizeOf(x.shape)} elements, ${formatShape(shape)} has ${sizeOf(shape)}`);
    return [{ shape, dtype: x.dtype }];
  },
  evaluate: ([x], [y]) => y.set(x),
  gradient: ([dy], [x]) => [dy?.reshape(x.shape)],
});

export const transposeOp = defineOp<{ permutation: readonly number[] }>({
  name: 'transpose',
  kind: 'view',
  infer: ([x], { permutation }) => {
    const valid = permutation.length === x.shape.length && [...permutation].sort((a, b) => a - b).every((axis, i) => axis === i);
    if (!valid) throw new ShapeError(`transpose: [${permutation.join(', ')}] is no permutation of the axes of ${formatShape(x.shape)}`);
    return [{ shape: permutation.map((axis) => x.shape[axis]), dtype: x.dtype }];
  },
  evaluate: ([x], [y], { inputs, outputs }, { permutation }) => {
    const strides = stridesOf(inputs[0].shape);
    gatherStrided(
      x,
      y,
      outputs[0].shape,
      permutation.map((axis) => strides[axis]),
      0,
    );
  },
  gradient: ([dy], _, { permutation }) => [dy?.transpose(permutation.map((_axis, i) => permutation.indexOf(i)))],
});

export const expandOp = defineOp<{ shape: Shape }>({
  name: 'expand',
  kind: 'view',
  infer: ([x], { shape }) => {
    const lead = shape.length - x.shape.length;
    const fits = lead >= 0 && x.shape.every((extent, axis) => extent === 1 || extent === shape[axis + lead]);
    if (!fits) throw new ShapeError(`expand: ${formatShape(x.shape)} does not broadcast to ${formatShape(shape)}`);
    return [{ shape, dtype: x.dtype }];
  },
  evaluate: ([x], [y], { inputs, outputs }, attributes) => {
    const view = viewOf('expand', inputs[0], outputs[0], attributes, stridesOf(inputs[0].shape));
    if (view !== undefined) gatherStrided(x, y, outputs[0].shape, view.strides, 0);
  },
  gradient: ([dy], [x]) => [dy?.sumTo(x.shape)],
});

export const sliceOp = defineOp<{ starts: readonly number[]; sizes: readonly number[] }>({
  name: 'slice',
  kind: 'view',
  infer: ([x], { starts, sizes }) => {
    const rank = x.shape.length;
    const inside =
      starts.length === rank &&
      sizes.length === rank &&
      x.shape.every((extent, axis) => starts[axis] >= 0 && sizes[axis] >= 0 && starts[axis] + sizes[axis] <= extent);
    if (!inside) throw new ShapeError(`slice: [${starts.join(', ')}] + [${sizes.join(', ')}] is not inside ${formatShape(x.shape)}`);
    return [{ shape: sizes, dtype: x.dtype }];
  },
  evaluate: ([x], [y], { inputs }, { starts, sizes }) => {
    const strides = stridesOf(inputs[0].shape);
    const offset = starts.reduce((sum, start, axis) => sum + start * strides[axis], 0);
    gatherStrided(x, y, sizes, strides, offset);
  },
  gradient: ([dy], [x], { starts, sizes }) => [
    dy?.pad(
      starts,
      x.shape.map((extent, axis) => extent - starts[axis] - sizes[axis]),
    ),
  ],
});

/** `x`, not before the other operands are computed; `mark` keeps what is made of it apart from equal work. */
export const afterOp = defineOp<{ mark: number }>({
  name: 'after',
  kind: 'view',
  infer: ([x]) => [x],
  evaluate: ([x], [y]) => y.set(x),
  gradient: ([dy]) => [dy],
});

/** Zeros around `x`: `before[axis]` and `after[axis]` elements. */
export const padOp = defineOp<{ before: readonly number[]; after: readonly number[] }>({
  name: 'pad',
  kind: 'compute',
  infer: ([x], { before, after }) => {
    if (before.length !== x.shape.length || after.length !== x.shape.length)
      throw new ShapeError(`pad: ${formatShape(x.shape)} needs one extent before and after per axis`);
    return [{ shape: x.shape.map((extent, axis) => before[axis] + extent + after[axis]), dtype: x.dtype }];
  },
  evaluate: ([x], [y], { inputs, outputs }, { before }) => scatterStrided(x, y, inputs[0].shape, stridesOf(outputs[0].shape), before),
  gradient: ([dy], [x], { before }) => [dy?.slice(before, x.shape)],
  lower: lowerPad,
});

export const concatOp = defineOp<{ axis: number }>({
  name: 'concat',
  kind: 'compute',
  infer: (inputs, { axis }) => {
    const [first] = inputs;
    for (const { shape, dtype } of inputs) {
      if (dtype !== first.dtype) throw new DTypeError(`concat: operands are ${first.dtype} and ${dtype}`);
      if (!sameShape(shape.toSpliced(axis, 1), first.shape.toSpliced(axis, 1)))
        throw new ShapeError(`concat: ${formatShape(first.shape)} and ${formatShape(shape)} differ outside axis ${axis}`);
    }
    return [
      {
        shape: first.shape.with(
          axis,
          inputs.reduce((sum, { shape }) => sum + shape[axis], 0),
        ),
        dtype: first.dtype,
      },
    ];
  },
  evaluate: (inputs, [y], types, { axis }) => {
    const strides = stridesOf(types.outputs[0].shape);
    let start = 0;
    inputs.forEach((x, i) => {
      const { shape } = types.inputs[i];
      const at = shape.map((_, a) => (a === axis ? start : 0));
      scatterStrided(x, y, shape, strides, at);
      start += shape[axis];
    });
  },
  gradient: ([dy], inputs, { axis }) => {
    let start = 0;
    return inputs.map(({ shape }) => {
      const starts = shape.map((_, a) => (a === axis ? start : 0));
      start += shape[axis];
      return dy?.slice(starts, shape);
    });
  },
  lower: lowerConcat,
});

/** Writes contiguous `x` of `shape` into `y`, whose strides are given, at coordinates `at`. */
function scatterStrided(x: NumericArray, y: NumericArray, shape: Shape, strides: readonly number[], at: readonly number[]): void {
  const index = new Array<number>(shape.length).fill(0);
  let target = at.reduce((sum, start, axis) => sum + start * strides[axis], 0);
  for (let i = 0; i < x.length; i++) {
    y[target] = x[i];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      target += strides[axis];
      if (++index[axis] < shape[axis]) break;
      target -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
}
