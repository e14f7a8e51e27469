/** Strided copies into part of a value: what concat and pad are made of. */
import { isFloat } from '../dtype.js';
import type { TensorType } from '../graph/op.js';
import { sizeOf, stridesOf } from '../shape.js';
import { elementwiseCall } from './elementwise.js';
import type { LoweringContext, ValueRef } from './kernel.js';

/** Copies contiguous `from` into `to` at coordinates `at`. */
function copyInto<A extends Readonly<Record<string, unknown>>>(
  context: LoweringContext<A>,
  from: ValueRef,
  fromType: TensorType,
  to: ValueRef,
  toType: TensorType,
  at: readonly number[],
): void {
  const strides = stridesOf(toType.shape);
  const offset = at.reduce((sum, start, axis) => sum + start * strides[axis], 0);
  if (sizeOf(fromType.shape) === 0) return;
  const call = elementwiseCall({
    shape: fromType.shape,
    loads: [{ binding: 0, dtype: fromType.dtype, strides: stridesOf(fromType.shape), offset: 0, size: sizeOf(fromType.shape) }],
    instructions: [{ kind: 'load', index: 0, operands: [] }],
    stores: [{ instruction: 0, target: { dtype: toType.dtype, strides, offset, size: sizeOf(toType.shape) } }],
  });
  context.call(call.kernel, { parameters: {}, bindings: { in0: from, out0: to }, uniforms: call.uniforms, workgroups: call.workgroups });
}

export function lowerConcat(context: LoweringContext<{ readonly axis: number }>): void {
  let start = 0;
  context.inputs.forEach((type, i) => {
    copyInto(
      context,
      context.input(i),
      type,
      context.output(0),
      context.outputs[0],
      type.shape.map((_, axis) => (axis === context.attributes.axis ? start : 0)),
    );
    start += type.shape[context.attributes.axis];
  });
}

export function lowerPad(context: LoweringContext<{ readonly before: readonly number[] }>): void {
  const [type] = context.outputs;
  const zero = isFloat(type.dtype) ? '0.0' : type.dtype === 'i32' ? '0i' : '0u';
  const fill = elementwiseCall({
    shape: type.shape,
    loads: [],
    instructions: [{ kind: 'compute', index: 0, operands: [], expression: (_, width) => (width === 4 ? `vec4(${zero})` : zero) }],
    stores: [{ instruction: 0, target: { dtype: type.dtype, strides: stridesOf(type.shape), offset: 0, size: sizeOf(type.shape) } }],
  });
  context.call(fill.kernel, {
    parameters: {},
    bindings: { out0: context.output(0) },
    uniforms: fill.uniforms,
    workgroups: fill.workgroups,
  });
  copyInto(context, context.input(0), context.inputs[0], context.output(0), type, context.attributes.before);
}
