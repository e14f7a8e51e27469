/** Reverse mode: adds the backward nodes to the same graph, by each op's own rule, or by the rules of its definition where it has none. */
import { isFloat } from '../dtype.js';
import { GraphError } from '../errors.js';
import { fill, Tensor } from '../tensor.js';
import type { Node } from './op.js';

/** Nodes that `roots` depend on, inputs before consumers. */
export function topological(roots: readonly Tensor[]): Node[] {
  const order: Node[] = [];
  const seen = new Set<Node>();
  // An explicit stack: graphs of unrolled loops are deeper than the call stack.
  const stack: { node: Node; next: number }[] = [];
  for (const root of roots) {
    if (seen.has(root.node)) continue;
    seen.add(root.node);
    stack.push({ node: root.node, next: 0 });
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const input = top.node.inputs[top.next++];
      if (input === undefined) {
        order.push(top.node);
        stack.pop();
      } else if (!seen.has(input.node)) {
        seen.add(input.node);
        stack.push({ node: input.node, next: 0 });
      }
    }
  }
  return order;
}

/**
 * The same nodes in the order in which the program was written: what is computed together stands together, so values are needed for a short
 * time. (Inputs have smaller ids than their consumers.)
 */
export function inOrderOfCreation(roots: readonly Tensor[]): Node[] {
  return topological(roots).sort((a, b) => a.id - b.id);
}

/**
 * Vector-Jacobian product: Σ upstream[i] · d outputs[i] / d wrt[j] for each j.
 * @returns one tensor per `wrt`, of its shape; undefined where no path exists
 */
export function pullback(
  outputs: readonly Tensor[],
  upstream: readonly (Tensor | undefined)[],
  wrt: readonly Tensor[],
): (Tensor | undefined)[] {
  const order = topological(outputs);
  const targets = new Set(wrt.map((tensor) => tensor.node));
  // Only nodes on a path from a wanted tensor matter.
  const needed = new Set<Node>();
  for (const node of order) if (targets.has(node) || node.inputs.some((input) => needed.has(input.node))) needed.add(node);

  const gradients = new Map<Node, (Tensor | undefined)[]>();
  const accumulate = (target: Tensor, gradient: Tensor | undefined) => {
    if (gradient === undefined || !needed.has(target.node)) return;
    const slots = gradients.get(target.node) ?? new Array<Tensor | undefined>(target.node.outputs.length).fill(undefined);
    const existing = slots[target.index];
    slots[target.index] = existing === undefined ? gradient : existing.add(gradient);
    gradients.set(target.node, slots);
  };
  outputs.forEach((output, i) => {
    accumulate(output, upstream[i]);
  });
  for (const node of order.reverse()) {
    const slots = gradients.get(node);
    if (slots === undefined || node.inputs.length === 0) continue;
    const rule = inputGradients(node, slots);
    node.inputs.forEach((input, i) => {
      if (isFloat(input.dtype)) accumulate(input, rule[i]);
    });
  }
  return wrt.map((tensor) => gradients.get(tensor.node)?.[tensor.index]);
}

function inputGradients(node: Node, upstream: readonly (Tensor | undefined)[]): readonly (Tensor | undefined)[] {
  const { op, inputs, attributes } = node;
  if (op.gradient !== undefined) {
    const outputs = node.outputs.map((_, index) => new Tensor(node, index));
    return op.gradient(upstream, inputs, attributes, outputs);
  }
  if (op.define !== undefined) return pullback(op.define(inputs, attributes), upstream, inputs);
  throw new GraphError(`${op.name} has no gradient`, 'Keep this op out of the path from the parameters to the loss.');
}

/**
 * d loss / d parameter for each parameter.
 * @param loss a scalar, `[]`
 * @param parameters any tensors of the graph
 * @throws {GraphError} if the loss is no scalar or does not depend on a parameter
 */
export function grad(loss: Tensor, parameters: readonly Tensor[]): Tensor[] {
  if (loss.rank !== 0) throw new GraphError(`grad: loss is ${loss}, expected a scalar`, 'Reduce the loss with sum() or mean().');
  return pullback([loss], [fill([], 1, loss.dtype)], parameters).map((gradient, i) => {
    if (gradient === undefined)
      throw new GraphError(
        `grad: the loss does not depend on ${parameters[i]} (number ${i})`,
        'Differentiate only with respect to tensors that the loss is computed from.',
      );
    return gradient;
  });
}
