/** Shapes: sizes, row-major strides and the broadcasting rule (that of NumPy). */
import { ShapeError } from './errors.js';

export type Shape = readonly number[];

/** Number of elements; 1 for a scalar (`[]`). */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const extent of shape) size *= extent;
  return size;
}

/** Row-major strides, in elements. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
  return strides;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((extent, axis) => extent === b[axis]);
}

export function formatShape(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}

/** The shape that both operands expand to. @throws {ShapeError} naming `op` and both shapes */
export function broadcastShapes(op: string, a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  const shape = new Array<number>(rank);
  for (let axis = 0; axis < rank; axis++) {
    const x = a[axis - rank + a.length] ?? 1;
    const y = b[axis - rank + b.length] ?? 1;
    if (x !== y && x !== 1 && y !== 1) throw new ShapeError(`${op}: ${formatShape(a)} and ${formatShape(b)} do not broadcast`);
    shape[axis] = x === 1 ? y : x;
  }
  return shape;
}

/** An axis counted from the front; negative ones count from the end. @throws {ShapeError} */
export function normalizeAxis(op: string, axis: number, rank: number): number {
  const normalized = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || normalized < 0 || normalized >= rank)
    throw new ShapeError(`${op}: axis ${axis} is not in a tensor of rank ${rank}`);
  return normalized;
}

/** Sorted, distinct axes; all of them when `axes` is undefined. */
export function normalizeAxes(op: string, axes: number | readonly number[] | undefined, rank: number): number[] {
  if (axes === undefined) return Array.from({ length: rank }, (_, axis) => axis);
  const list = typeof axes === 'number' ? [axes] : axes;
  return [...new Set(list.map((axis) => normalizeAxis(op, axis, rank)))].sort((a, b) => a - b);
}

/** @throws {ShapeError} `op: name is [..], expected [..]`; `undefined` extents match anything */
export function expectShape(
  op: string,
  operands: Readonly<Record<string, { readonly shape: Shape }>>,
  expected: readonly (number | undefined)[],
): void {
  for (const [name, { shape }] of Object.entries(operands)) {
    const fits = shape.length === expected.length && expected.every((extent, axis) => extent === undefined || extent === shape[axis]);
    if (!fits)
      throw new ShapeError(`${op}: ${name} is ${formatShape(shape)}, expected [${expected.map((extent) => extent ?? '?').join(', ')}]`);
  }
}

/** [outer, length, inner] of a shape around an axis. */
export function around(shape: Shape, axis: number): readonly [number, number, number] {
  const product = (extents: readonly number[]) => extents.reduce((a, b) => a * b, 1);
  return [product(shape.slice(0, axis)), shape[axis], product(shape.slice(axis + 1))];
}
