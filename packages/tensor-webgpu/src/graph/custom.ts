/** Gradients of the caller's own, and blocks that are computed again in the backward pass instead of kept. */
import { GraphError } from '../errors.js';
import { sameShape } from '../shape.js';
import { apply, applyAll, type Tensor } from '../tensor.js';
import { grad, pullback } from './gradient.js';
import { defineOp } from './op.js';
import { afterOp } from './primitives/view.js';

/**
 * The outputs of `forward`, differentiated by `backward` instead of by the rules of the ops in it.
 * @param backward d loss / d input per input (undefined: none), given d loss / d output per output
 * @throws {GraphError} if `backward` gives gradients of other shapes than the inputs'
 */
export function customGradient(
  inputs: readonly Tensor[],
  forward: (...inputs: Tensor[]) => readonly Tensor[],
  backward: (
    upstream: readonly (Tensor | undefined)[],
    inputs: readonly Tensor[],
    outputs: readonly Tensor[],
  ) => readonly (Tensor | undefined)[],
): Tensor[] {
  const op = defineOp<Readonly<Record<string, never>>>({
    name: 'customGradient',
    kind: 'compute',
    infer: () => forward(...inputs),
    define: (operands) => forward(...operands),
    gradient: (upstream, operands, _, outputs) => {
      const gradients = backward(upstream, operands, outputs);
      operands.forEach((operand, i) => {
        const gradient = gradients[i];
        if (gradient !== undefined && !sameShape(gradient.shape, operand.shape))
          throw new GraphError(`customGradient: the gradient of ${operand} is ${gradient}`, 'Return one gradient per input, of its shape.');
      });
      return gradients;
    },
  });
  return applyAll(op, inputs, {});
}

let marks = 0;

/**
 * The outputs of `block`, whose intermediate values are not kept for the backward pass but computed again in it: less memory, one more
 * forward pass through the block. [Chen et al., 2016]
 */
export function checkpoint(inputs: readonly Tensor[], block: (...inputs: Tensor[]) => readonly Tensor[]): Tensor[] {
  return customGradient(inputs, block, (upstream, operands) => {
    const mark = marks++;
    // Behind the gradient that arrives, or the second forward pass would run with the first.
    const arrived = upstream.filter((gradient) => gradient !== undefined);
    const again = operands.map((operand) => apply(afterOp, [operand, ...arrived], { mark }));
    return pullback(block(...again), upstream, again);
  });
}

/** The value of `loss` at `parameters` and its gradients there. @throws {GraphError} as {@link grad} */
export function valueAndGrad(
  loss: (...parameters: Tensor[]) => Tensor,
  parameters: readonly Tensor[],
): { readonly value: Tensor; readonly gradients: Tensor[] } {
  const value = loss(...parameters);
  return { value, gradients: grad(value, parameters) };
}
