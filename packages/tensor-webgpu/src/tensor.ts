/**
 * A Tensor is symbolic: one output of a graph node, with a shape and a dtype. It owns no memory; nothing runs until a program or the
 * interpreter asks for it. Methods broadcast like NumPy and throw at the line that builds a wrong op.
 */
import { type DType, dtypeOf, isFloat, type TypedArray } from './dtype.js';
import { DTypeError, ShapeError } from './errors.js';
import { type Attributes, Node, type Op } from './graph/op.js';
import * as elementwise from './graph/primitives/elementwise.js';
import { gatherRowsOp, scatterRowsOp } from './graph/primitives/gather.js';
import { inputOp, literalOp } from './graph/primitives/leaf.js';
import { matmulOp } from './graph/primitives/matmul.js';
import { keptShape, maxOp, sumOp } from './graph/primitives/reduce.js';
import { cumulativeSumOp } from './graph/primitives/scan.js';
import { concatOp, expandOp, padOp, reshapeOp, sliceOp, transposeOp } from './graph/primitives/view.js';
import { broadcastShapes, formatShape, normalizeAxes, normalizeAxis, type Shape, sameShape, sizeOf } from './shape.js';

export interface ReduceOptions {
  readonly keepDims?: boolean;
}

/** Applies an op; the rule of shapes is checked here. */
export function applyAll<A extends Attributes>(op: Op<A>, inputs: readonly Tensor[], attributes: A): Tensor[] {
  const outputs = op.infer(inputs, attributes);
  const node = new Node(op as unknown as Op, inputs, attributes, outputs);
  return outputs.map((_, index) => new Tensor(node, index));
}

/** Applies an op of one output. */
export function apply<A extends Attributes>(op: Op<A>, inputs: readonly Tensor[], attributes: A): Tensor {
  return applyAll(op, inputs, attributes)[0];
}

export class Tensor {
  readonly node: Node;
  readonly index: number;
  constructor(node: Node, index: number) {
    this.node = node;
    this.index = index;
  }

  get shape(): Shape {
    return this.node.outputs[this.index].shape;
  }
  get dtype(): DType {
    return this.node.outputs[this.index].dtype;
  }
  get rank(): number {
    return this.shape.length;
  }
  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }

  // Elementwise. A number stands for a constant of this tensor's dtype.
  neg(): Tensor {
    return apply(elementwise.negOp, [this], {});
  }
  exp(): Tensor {
    return apply(elementwise.expOp, [this], {});
  }
  log(): Tensor {
    return apply(elementwise.logOp, [this], {});
  }
  sin(): Tensor {
    return apply(elementwise.sinOp, [this], {});
  }
  cos(): Tensor {
    return apply(elementwise.cosOp, [this], {});
  }
  sqrt(): Tensor {
    return apply(elementwise.sqrtOp, [this], {});
  }
  /** 1 / √x */
  rsqrt(): Tensor {
    return apply(elementwise.rsqrtOp, [this], {});
  }
  tanh(): Tensor {
    return apply(elementwise.tanhOp, [this], {});
  }
  abs(): Tensor {
    return apply(elementwise.absOp, [this], {});
  }
  sign(): Tensor {
    return apply(elementwise.signOp, [this], {});
  }
  floor(): Tensor {
    return apply(elementwise.floorOp, [this], {});
  }
  /** x to a constant power; a negative base takes whole exponents. */
  pow(exponent: number): Tensor {
    if (exponent === 0) return fill(this.shape, 1, this.dtype);
    if (exponent === 1) return this;
    return exponent === 2 ? this.square() : apply(elementwise.powOp, [this], { exponent });
  }
  square(): Tensor {
    return this.mul(this);
  }
  add(other: Tensor | number): Tensor {
    return binary(elementwise.addOp, this, other);
  }
  sub(other: Tensor | number): Tensor {
    return binary(elementwise.subOp, this, other);
  }
  mul(other: Tensor | number): Tensor {
    return binary(elementwise.mulOp, this, other);
  }
  div(other: Tensor | number): Tensor {
    return binary(elementwise.divOp, this, other);
  }
  maximum(other: Tensor | number): Tensor {
    return binary(elementwise.maximumOp, this, other);
  }
  minimum(other: Tensor | number): Tensor {
    return binary(elementwise.minimumOp, this, other);
  }
  clamp(low: Tensor | number, high: Tensor | number): Tensor {
    return this.maximum(low).minimum(high);
  }
  less(other: Tensor | number): Tensor {
    return binary(elementwise.lessOp, this, other);
  }
  lessEqual(other: Tensor | number): Tensor {
    return binary(elementwise.lessEqualOp, this, other);
  }
  greater(other: Tensor | number): Tensor {
    return binary(elementwise.lessOp, other, this);
  }
  greaterEqual(other: Tensor | number): Tensor {
    return binary(elementwise.lessEqualOp, other, this);
  }
  equal(other: Tensor | number): Tensor {
    return binary(elementwise.equalOp, this, other);
  }
  /** This bool tensor chooses `a` where true, `b` elsewhere; all three broadcast. At least one of a and b is a tensor. */
  where(a: Tensor | number, b: Tensor | number): Tensor {
    const dtype = a instanceof Tensor ? a.dtype : b instanceof Tensor ? b.dtype : 'f32';
    const [x, y] = [toTensor(a, dtype), toTensor(b, dtype)];
    const shape = broadcastShapes('where', this.shape, broadcastShapes('where', x.shape, y.shape));
    return apply(elementwise.whereOp, [this.expand(shape), x.expand(shape), y.expand(shape)], {});
  }
  /** This tensor, as a constant for gradients. */
  stopGradient(): Tensor {
    return apply(elementwise.stopGradientOp, [this], {});
  }
  cast(dtype: DType): Tensor {
    return dtype === this.dtype ? this : apply(elementwise.castOp, [this], { dtype });
  }

  // Views. One extent of `reshape` may be -1: what is left.
  reshape(shape: Shape): Tensor {
    const known = shape.reduce((product, extent) => (extent === -1 ? product : product * extent), 1);
    const full = shape.map((extent) => (extent === -1 ? this.size / known : extent));
    return sameShape(full, this.shape) ? this : apply(reshapeOp, [this], { shape: full });
  }
  /** Without a permutation: the last two axes change places. */
  transpose(permutation?: readonly number[]): Tensor {
    if (permutation === undefined && this.rank < 2) throw new ShapeError(`transpose: ${formatShape(this.shape)} has no two axes`);
    const axes = this.shape.map((_, axis) => axis);
    const order = permutation?.map((axis) => normalizeAxis('transpose', axis, this.rank)) ?? [
      ...axes.slice(0, -2),
      this.rank - 1,
      this.rank - 2,
    ];
    return order.every((axis, i) => axis === i) && order.length === this.rank ? this : apply(transposeOp, [this], { permutation: order });
  }
  /** Broadcasts to `shape`. */
  expand(shape: Shape): Tensor {
    return sameShape(shape, this.shape) ? this : apply(expandOp, [this], { shape });
  }
  slice(starts: readonly number[], sizes: readonly number[]): Tensor {
    return sameShape(sizes, this.shape) ? this : apply(sliceOp, [this], { starts, sizes });
  }
  /** Zeros around: `before[axis]` and `after[axis]` elements. */
  pad(before: readonly number[], after: readonly number[]): Tensor {
    return apply(padOp, [this], { before, after });
  }

  // Reductions over `axes` (all where undefined).
  sum(axes?: number | readonly number[], { keepDims = false }: ReduceOptions = {}): Tensor {
    return reduce(sumOp, 'sum', this, axes, keepDims);
  }
  max(axes?: number | readonly number[], { keepDims = false }: ReduceOptions = {}): Tensor {
    return reduce(maxOp, 'max', this, axes, keepDims);
  }
  mean(axes?: number | readonly number[], options: ReduceOptions = {}): Tensor {
    const count = normalizeAxes('mean', axes, this.rank).reduce((product, axis) => product * this.shape[axis], 1);
    return this.sum(axes, options).mul(1 / count);
  }
  min(axes?: number | readonly number[], options: ReduceOptions = {}): Tensor {
    return this.neg().max(axes, options).neg();
  }
  /** The place of the largest element along an axis, i32; of equals the first. */
  argMax(axis = -1, { keepDims = false }: ReduceOptions = {}): Tensor {
    const along = normalizeAxis('argMax', axis, this.rank);
    const places = this.equal(this.max(along, { keepDims: true })).where(iota(this.shape, along), this.shape[along]);
    return places.min(along, { keepDims });
  }
  /** log Σ exp x, shifted by the maximum. */
  logSumExp(axes?: number | readonly number[], { keepDims = false }: ReduceOptions = {}): Tensor {
    const top = this.max(axes, { keepDims: true }).stopGradient();
    const result = this.sub(top).exp().sum(axes, { keepDims: true }).log().add(top);
    return keepDims ? result : result.reshape(this.sum(axes).shape);
  }
  /** Running sums along an axis, each element included; from the end where `reverse`. */
  cumulativeSum(axis = -1, { reverse = false }: { readonly reverse?: boolean } = {}): Tensor {
    return apply(cumulativeSumOp, [this], { axis: normalizeAxis('cumulativeSum', axis, this.rank), reverse });
  }
  /** Pieces of `sizes` along an axis. @throws {ShapeError} if they do not add up to its extent */
  split(sizes: readonly number[], axis = 0): Tensor[] {
    const along = normalizeAxis('split', axis, this.rank);
    const total = sizes.reduce((a, b) => a + b, 0);
    if (total !== this.shape[along])
      throw new ShapeError(`split: pieces of ${sizes.join(' + ')} along axis ${along} of ${formatShape(this.shape)}`);
    let start = 0;
    return sizes.map((size) => {
      const starts = this.shape.map((_, i) => (i === along ? start : 0));
      start += size;
      return this.slice(starts, this.shape.with(along, size));
    });
  }
  /** Sums over the axes along which `shape` broadcasts to this one: the adjoint of `expand`. */
  sumTo(shape: Shape): Tensor {
    if (sameShape(shape, this.shape)) return this;
    const lead = this.rank - shape.length;
    const axes = this.shape.map((_, axis) => axis).filter((axis) => axis < lead || (shape[axis - lead] === 1 && this.shape[axis] !== 1));
    return this.sum(axes).reshape(shape);
  }

  // Products and rows.
  /**
   * Matrix product over the last two axes; `transposeA` and `transposeB` say that an operand is stored transposed. Leading axes broadcast;
   * a matrix on the right multiplies every row of a batch as one matrix.
   */
  matmul(
    other: Tensor,
    { transposeA = false, transposeB = false }: { readonly transposeA?: boolean; readonly transposeB?: boolean } = {},
  ): Tensor {
    const attributes = { transposeA, transposeB };
    if (this.rank > 2 && other.rank === 2 && !transposeA) {
      const rows = apply(matmulOp, [this.reshape([-1, this.shape[this.rank - 1]]), other], attributes);
      return rows.reshape([...this.shape.slice(0, -1), rows.shape[1]]);
    }
    if (this.rank < 2 || other.rank < 2)
      throw new ShapeError(`matmul: ${formatShape(this.shape)} and ${formatShape(other.shape)}, expected two matrices or batches of them`);
    const batch = broadcastShapes('matmul', this.shape.slice(0, -2), other.shape.slice(0, -2));
    return apply(
      matmulOp,
      [this.expand([...batch, ...this.shape.slice(-2)]), other.expand([...batch, ...other.shape.slice(-2)])],
      attributes,
    );
  }
  /** Rows of this table [V, D] by ids [...] (i32): [..., D]. An id below zero gives zeros. */
  gatherRows(ids: Tensor): Tensor {
    return apply(gatherRowsOp, [this, ids], {});
  }
  /** Sums rows [..., D] into a table [rows, D] by ids [...] (i32), in the order of positions; ids below zero are left out. */
  scatterRows(ids: Tensor, rows: number): Tensor {
    return apply(scatterRowsOp, [this, ids], { rows });
  }

  toString(): string {
    return `Tensor(${this.node.op.name} ${this.dtype}${formatShape(this.shape)})`;
  }
}

function toTensor(value: Tensor | number, dtype: DType): Tensor {
  return value instanceof Tensor ? value : fill([], value, dtype);
}

function binary(op: Op, a: Tensor | number, b: Tensor | number): Tensor {
  const dtype = a instanceof Tensor ? a.dtype : b instanceof Tensor ? b.dtype : 'f32';
  const [x, y] = [toTensor(a, dtype), toTensor(b, dtype)];
  const shape = broadcastShapes(op.name, x.shape, y.shape);
  return apply(op, [x.expand(shape), y.expand(shape)], {});
}

function reduce(
  op: Op<{ readonly axes: readonly number[] }>,
  name: string,
  x: Tensor,
  axes: number | readonly number[] | undefined,
  keepDims: boolean,
): Tensor {
  const reduced = normalizeAxes(name, axes, x.rank);
  const y = reduced.length === 0 ? x : apply(op, [x], { axes: reduced });
  return keepDims ? y.reshape(keptShape(x.shape, reduced)) : y;
}

/** A tensor of one repeated value. */
export function fill(shape: Shape, value: number, dtype: DType = 'f32'): Tensor {
  return apply(elementwise.fillOp, [], { shape, value, dtype });
}

export function zeros(shape: Shape, dtype: DType = 'f32'): Tensor {
  return fill(shape, 0, dtype);
}

/** The coordinate along `axis`, i32. */
export function iota(shape: Shape, axis = shape.length - 1): Tensor {
  return apply(elementwise.iotaOp, [], { shape, axis: normalizeAxis('iota', axis, shape.length) });
}

export function concat(tensors: readonly Tensor[], axis = 0): Tensor {
  if (tensors.length === 0) throw new ShapeError('concat: no tensors');
  return tensors.length === 1 ? tensors[0] : apply(concatOp, tensors, { axis: normalizeAxis('concat', axis, tensors[0].rank) });
}

/** Tensors of one shape side by side along a new axis. */
export function stack(tensors: readonly Tensor[], axis = 0): Tensor {
  if (tensors.length === 0) throw new ShapeError('stack: no tensors');
  const { shape } = tensors[0];
  const along = normalizeAxis('stack', axis, shape.length + 1);
  for (const other of tensors)
    if (!sameShape(other.shape, shape)) throw new ShapeError(`stack: ${formatShape(shape)} and ${formatShape(other.shape)} differ`);
  return concat(
    tensors.map((x) => x.reshape(shape.toSpliced(along, 0, 1))),
    along,
  );
}

/** A constant that holds `data` (not copied) in row-major order. */
export function tensor(data: TypedArray, shape: Shape = [data.length]): Tensor {
  if (data.length !== sizeOf(shape)) throw new ShapeError(`tensor: ${data.length} elements for ${formatShape(shape)}`);
  return apply(literalOp, [], { data, shape, dtype: dtypeOf(data) });
}

/** A program input, to be given at each call. */
export function placeholder(name: string, shape: Shape, dtype: DType): Tensor {
  return apply(inputOp, [], { name, shape, dtype });
}

/** @throws {DTypeError} unless all are f32, or all f16 */
export function expectFloat(op: string, operands: Readonly<Record<string, Tensor>>): void {
  const [[first, { dtype }], ...rest] = Object.entries(operands);
  if (!isFloat(dtype)) throw new DTypeError(`${op}: ${first} is ${dtype}, expected f32 or f16`);
  for (const [name, other] of rest)
    if (other.dtype !== dtype) throw new DTypeError(`${op}: ${name} is ${other.dtype}, expected ${dtype} as ${first} is`);
}

/** @throws {DTypeError} */
export function expectDType(op: string, operands: Readonly<Record<string, Tensor>>, expected: DType): void {
  for (const [name, { dtype }] of Object.entries(operands))
    if (dtype !== expected) throw new DTypeError(`${op}: ${name} is ${dtype}, expected ${expected}`);
}
