/**
 * Rewrites a graph: fused ops without a kernel become their definitions, equal subgraphs become one, constants fold, neutral operations and
 * repeated views vanish, a transposed operand of a matrix product becomes a flag, products and gathers of quantised
 * matrices read their words, and sums of gathered rows become one op. What nothing needs is left behind.
 */
import { inOrderOfCreation } from '../graph/gradient.js';
import type { Attributes, Node, Op } from '../graph/op.js';
import { fillOp } from '../graph/primitives/elementwise.js';
import { type MatmulAttributes, matmulOp } from '../graph/primitives/matmul.js';
import { dequantizeOp, type QuantizedAttributes, quantizedMatmulOp, quantizedRowsOp } from '../ops/quantized.js';
import { sumOfRows } from '../ops/rows.js';
import { sameShape } from '../shape.js';
import { apply, applyAll, fill, Tensor } from '../tensor.js';

function constantOf(tensor: Tensor): number | undefined {
  return tensor.node.op.name === fillOp.name ? (tensor.node.attributes.value as number) : undefined;
}

function isLastTwoSwapped(permutation: readonly number[]): boolean {
  const rank = permutation.length;
  return rank >= 2 && permutation.every((axis, i) => axis === (i === rank - 1 ? rank - 2 : i === rank - 2 ? rank - 1 : i));
}

/** The value that an application is equal to, if it is a simpler one. Inputs are simplified already. */
function shortcut(op: Op, inputs: readonly Tensor[], attributes: Attributes, fuse: boolean): Tensor | undefined {
  const constants = inputs.map(constantOf);
  const [x, y] = inputs;
  if (
    op.kind === 'elementwise' &&
    inputs.length > 0 &&
    op.evaluate !== undefined &&
    constants.every((constant) => constant !== undefined)
  ) {
    const [type] = op.infer(inputs, attributes);
    const result = new Float64Array(1);
    const one = inputs.map((_, i) => new Float64Array([constants[i] ?? 0]));
    op.evaluate(one, [result], { inputs, outputs: [type] }, attributes);
    return Number.isFinite(result[0]) ? fill(type.shape, result[0], type.dtype) : undefined;
  }
  switch (op.name) {
    case 'add':
      return constants[0] === 0 ? y : constants[1] === 0 ? x : fuse ? sumOfRows(x, y) : undefined;
    case 'sub':
      return constants[1] === 0 ? x : undefined;
    case 'mul':
      // 0 · x is 0 here even where x is infinite or NaN: gradients of branches not taken depend on it.
      return constants[0] === 1 ? y : constants[1] === 1 ? x : constants[0] === 0 ? x : constants[1] === 0 ? y : undefined;
    case 'div':
      return constants[1] === 1 ? x : undefined;
    case 'expand':
      return constants[0] === undefined ? undefined : fill(attributes.shape as number[], constants[0], x.dtype);
    case 'reshape': {
      if (constants[0] !== undefined) return fill(attributes.shape as number[], constants[0], x.dtype);
      return x.node.op.name === 'reshape' ? x.node.inputs[0].reshape(attributes.shape as number[]) : undefined;
    }
    case 'matmul': {
      const { transposeA, transposeB } = attributes as MatmulAttributes;
      const quantized = quantizedProduct(x, y, attributes as MatmulAttributes);
      if (quantized !== undefined) return quantized;
      const swapped = inputs.map(({ node }) => node.op.name === 'transpose' && isLastTwoSwapped(node.attributes.permutation as number[]));
      if (!swapped.includes(true)) return undefined;
      const operands = inputs.map((input, i) => (swapped[i] ? input.node.inputs[0] : input));
      return apply(matmulOp, operands, { transposeA: transposeA !== swapped[0], transposeB: transposeB !== swapped[1] });
    }
    case 'gatherRows': {
      const { node } = x;
      return node.op.name === dequantizeOp.name
        ? apply(quantizedRowsOp, [...node.inputs, y], node.attributes as QuantizedAttributes)
        : undefined;
    }
    default:
      return undefined;
  }
}

/** x · Wᵀ of a quantised W, whose words the product reads; the columns that pad W are cut off. */
function quantizedProduct(x: Tensor, { node }: Tensor, { transposeA, transposeB }: MatmulAttributes): Tensor | undefined {
  if (node.op.name !== dequantizeOp.name || !transposeB || transposeA || x.rank !== 2 || x.dtype !== 'f32') return undefined;
  const attributes = node.attributes as QuantizedAttributes;
  return apply(quantizedMatmulOp, [x, ...node.inputs], attributes).slice([0, 0], [x.shape[0], attributes.shape[0]]);
}

/** Simplified equals of `roots`, in their order. Leaves stay the same nodes. @param options.fuse false: no two ops become one */
export function simplify(roots: readonly Tensor[], { fuse = true }: { readonly fuse?: boolean } = {}): Tensor[] {
  const rewritten = new Map<Node, readonly Tensor[]>();
  const known = new Map<string, readonly Tensor[]>();

  const lookUp = (tensor: Tensor): Tensor => {
    const outputs = rewritten.get(tensor.node);
    if (outputs === undefined) throw new Error('unreachable: a node was simplified before its inputs');
    return outputs[tensor.index];
  };
  /** One node per distinct application. Nodes are made anew, so that their order of creation is the order of the original ones. */
  const unify = (op: Op, inputs: readonly Tensor[], attributes: Attributes): readonly Tensor[] => {
    const key = `${op.name}|${inputs.map(({ node, index }) => `${node.id}.${index}`).join()}|${JSON.stringify(attributes)}`;
    const outputs = known.get(key) ?? applyAll(op, inputs, attributes);
    known.set(key, outputs);
    return outputs;
  };
  const visit = (tensors: readonly Tensor[]): void => {
    for (const node of inOrderOfCreation(tensors)) {
      if (rewritten.has(node)) continue;
      const { op, attributes } = node;
      if (op.kind === 'leaf') {
        rewritten.set(node, [new Tensor(node, 0)]);
        continue;
      }
      const inputs = node.inputs.map(lookUp);
      if (op.define !== undefined && op.lower === undefined) {
        const definition = op.define(inputs, attributes);
        visit(definition);
        rewritten.set(node, definition.map(lookUp));
        continue;
      }
      const shorter = shortcut(op, inputs, attributes, fuse);
      if (shorter !== undefined && sameShape(shorter.shape, node.outputs[0].shape)) {
        visit([shorter]);
        rewritten.set(node, [lookUp(shorter)]);
      } else rewritten.set(node, unify(op, inputs, attributes));
    }
  };
  visit(roots);
  return roots.map(lookUp);
}
