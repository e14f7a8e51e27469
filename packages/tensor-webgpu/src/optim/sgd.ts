/** Stochastic gradient descent over a whole set of variables. */
import { type Update, update } from '../compile/compile.js';
import type { Device } from '../device/device.js';
import type { VariableSet } from '../device/variables.js';
import { ShapeError } from '../errors.js';
import { pack } from '../ops/update.js';
import type { Tensor } from '../tensor.js';

export interface SgdOptions {
  /** Share of the last step's direction that is kept. */
  readonly momentum?: number;
  /** Weights shrink by learning rate · weightDecay per step. */
  readonly weightDecay?: number;
}

export class Sgd implements Disposable {
  /** 'velocity', laid out like the parameters' flat buffer. */
  readonly state: VariableSet;
  readonly #parameters: VariableSet;
  readonly #options: Required<SgdOptions>;

  constructor(device: Device, parameters: VariableSet, { momentum = 0.9, weightDecay = 0 }: SgdOptions = {}) {
    this.#parameters = parameters;
    this.#options = { momentum, weightDecay };
    this.state = device.variables({ velocity: { shape: parameters.flat.shape } }, 'velocity');
  }

  /**
   * v ← momentum · v + g;  p ← p − rate · (v + weightDecay · p)
   * @param gradients one per parameter, in the order of the set's names
   * @param rate scalar
   * @throws {ShapeError} if the gradients are not one per parameter
   */
  step(gradients: readonly Tensor[], rate: Tensor): Update[] {
    const { names, offsets, flat } = this.#parameters;
    if (gradients.length !== names.length) throw new ShapeError(`Sgd: ${gradients.length} gradients for ${names.length} parameters`);
    const { momentum, weightDecay } = this.#options;
    const velocity = this.state.get('velocity');
    const next = velocity.tensor.mul(momentum).add(pack(gradients, offsets, flat.tensor.size));
    return [update(velocity, next), update(flat, flat.tensor.sub(next.add(flat.tensor.mul(weightDecay)).mul(rate)))];
  }

  [Symbol.dispose](): void {
    this.state[Symbol.dispose]();
  }
}
