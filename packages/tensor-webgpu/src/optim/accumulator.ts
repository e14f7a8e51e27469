/** Sums of gradients over several calls of a program, for batches that do not fit at once. */
import { type Update, update } from '../compile/compile.js';
import type { Device } from '../device/device.js';
import type { VariableSet } from '../device/variables.js';
import { ShapeError } from '../errors.js';
import { pack } from '../ops/update.js';
import { type Tensor, zeros } from '../tensor.js';

export class GradientAccumulator implements Disposable {
  readonly #parameters: VariableSet;
  readonly #sums: VariableSet;

  constructor(device: Device, parameters: VariableSet) {
    this.#parameters = parameters;
    this.#sums = device.variables(
      Object.fromEntries(parameters.names.map((name) => [name, { shape: parameters.get(name).shape }])),
      'gradient sums',
    );
  }

  /** The updates that add one call's gradients. @throws {ShapeError} if they are not one per parameter */
  add(gradients: readonly Tensor[]): Update[] {
    const { names, offsets } = this.#parameters;
    if (gradients.length !== names.length) throw new ShapeError(`accumulate: ${gradients.length} gradients for ${names.length} parameters`);
    const { flat } = this.#sums;
    return [update(flat, flat.tensor.add(pack(gradients, offsets, flat.tensor.size)))];
  }

  /** The mean gradients of `calls` calls, one per parameter. */
  mean(calls: number): Tensor[] {
    return this.#parameters.names.map((name) => this.#sums.get(name).tensor.mul(1 / calls));
  }

  /** The updates that begin anew; they may stand in the program that uses {@link mean}. */
  clear(): Update[] {
    const { flat } = this.#sums;
    return [update(flat, zeros(flat.shape))];
  }

  [Symbol.dispose](): void {
    this.#sums[Symbol.dispose]();
  }
}
