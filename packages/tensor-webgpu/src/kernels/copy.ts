/** Strided copies into part of a value: what concat and pad are made of. */
import { isFloat } from '../dtype.js';
import type { TensorType } from '../graph/op.js';
import { sizeOf, stridesOf } from '../shape.js';
import { type ElementwiseProgram, elementwiseCall } from './elementwise.js';
import type { LoweringContext, Range, ValueRef } from './kernel.js';
import { partsOfElementwise } from './split-elementwise.js';

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
  const program: ElementwiseProgram = {
    shape: fromType.shape,
    loads: [{ binding: 0, dtype: fromType.dtype, strides: stridesOf(fromType.shape), offset: 0, size: sizeOf(fromType.shape) }],
    instructions: [{ kind: 'load', index: 0, operands: [] }],
    stores: [{ instruction: 0, target: { dtype: toType.dtype, strides, offset, size: sizeOf(toType.shape) } }],
  };
  callInParts(context, program, { in0: from, out0: to });
}

function callInParts<A extends Readonly<Record<string, unknown>>>(
  context: LoweringContext<A>,
  whole: ElementwiseProgram,
  values: Readonly<Record<string, ValueRef>>,
): void {
  for (const { program, inputs, output } of partsOfElementwise(whole, context.adapter.maxBindingBytes)) {
    const { kernel, uniforms, workgroups } = elementwiseCall(program);
    const ranges: Readonly<Record<string, Range | undefined>> = { in0: inputs[0], out0: output };
    const bound = Object.entries(values).map(([name, value]) => {
      const range = ranges[name];
      return [name, range === undefined ? value : { ...value, range }] as const;
    });
    context.call(kernel, { parameters: {}, bindings: Object.fromEntries(bound), uniforms, workgroups });
  }
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
  const fill: ElementwiseProgram = {
    shape: type.shape,
    loads: [],
    instructions: [{ kind: 'compute', index: 0, operands: [], expression: (_, width) => (width === 4 ? `vec4(${zero})` : zero) }],
    stores: [{ instruction: 0, target: { dtype: type.dtype, strides: stridesOf(type.shape), offset: 0, size: sizeOf(type.shape) } }],
  };
  callInParts(context, fill, { out0: context.output(0) });
  copyInto(context, context.input(0), context.inputs[0], context.output(0), type, context.attributes.before);
}
