/** The CPU oracle: evaluates a graph node by node on the host, fused ops through their definitions. Slow, simple, in single or double precision. */
import { fromHalfBits, isFloat, toHalfBits } from '../dtype.js';
import { GraphError } from '../errors.js';
import { sizeOf } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { topological } from './gradient.js';
import type { Node, NumericArray, TensorType } from './op.js';

export interface InterpretOptions {
  /** Arithmetic and storage of f32 values; `f64` makes central differences sharp. */
  readonly precision?: 'f32' | 'f64';
  /** Values of inputs, variables, or any other tensor to replace. */
  readonly values?: ReadonlyMap<Tensor, ArrayLike<number>>;
}

function allocate({ shape, dtype }: TensorType, precision: 'f32' | 'f64'): NumericArray {
  const size = sizeOf(shape);
  if (dtype === 'i32') return new Int32Array(size);
  if (!isFloat(dtype)) return new Uint32Array(size);
  return precision === 'f64' ? new Float64Array(size) : new Float32Array(size);
}

function roundToHalf(values: NumericArray): void {
  for (let i = 0; i < values.length; i++) values[i] = fromHalfBits(toHalfBits(values[i]));
}

/** The values of `tensors`, in row-major order. @throws {GraphError} for an input without a value */
export function interpret(tensors: readonly Tensor[], { precision = 'f32', values = new Map() }: InterpretOptions = {}): NumericArray[] {
  const computed = new Map<Node, NumericArray[]>();
  const resolve = (tensor: Tensor): NumericArray => {
    const value = computed.get(tensor.node)?.[tensor.index];
    if (value === undefined) throw new Error('unreachable: a node was evaluated before its inputs');
    return value;
  };
  const given = new Map<Node, [Tensor, ArrayLike<number>]>();
  for (const [tensor, value] of values) given.set(tensor.node, [tensor, value]);

  const evaluate = (roots: readonly Tensor[]) => {
    for (const node of topological(roots)) {
      if (computed.has(node)) continue;
      const replacement = given.get(node);
      if (replacement !== undefined) {
        const [tensor, value] = replacement;
        if (value.length !== tensor.size)
          throw new GraphError(`${tensor} was given ${value.length} elements`, 'Give as many elements as the shape has.');
        const array = allocate(tensor, precision);
        array.set(value);
        computed.set(node, [array]);
        continue;
      }
      if (node.op.evaluate === undefined) {
        if (node.op.define === undefined) throw new Error(`unreachable: ${node.op.name} has no meaning`);
        const results = node.op.define(node.inputs, node.attributes);
        evaluate(results);
        computed.set(node, results.map(resolve));
        continue;
      }
      const outputs = node.outputs.map((type) => allocate(type, precision));
      node.op.evaluate(node.inputs.map(resolve), outputs, node, node.attributes);
      for (const [i, { dtype }] of node.outputs.entries()) if (precision === 'f32' && dtype === 'f16') roundToHalf(outputs[i]);
      computed.set(node, outputs);
    }
  };
  evaluate(tensors);
  return tensors.map(resolve);
}
