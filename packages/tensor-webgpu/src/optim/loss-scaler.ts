/** Dynamic loss scaling for f16: gradients that would vanish in f16 are kept in its range. [Micikevicius et al., 2018] */

export interface LossScalerOptions {
  readonly initial?: number;
  /** Steps with finite gradients until the scale doubles. */
  readonly growEvery?: number;
  readonly largest?: number;
  /** A scale and its finite steps so far, to go on from. */
  readonly scale?: number;
  readonly good?: number;
}

/**
 * Multiply the loss by `scale` (an input of the program), give AdamW's `rates` the same scale, and tell {@link update} the norm of each step: where
 * it is no finite number, the optimiser has left the step out, and the scale halves.
 */
export class LossScaler {
  #scale: number;
  #good = 0;
  readonly #growEvery: number;
  readonly #largest: number;

  constructor({ initial = 2 ** 14, growEvery = 500, largest = 2 ** 24, scale = initial, good = 0 }: LossScalerOptions = {}) {
    this.#scale = scale;
    this.#good = good;
    this.#growEvery = growEvery;
    this.#largest = largest;
  }

  get scale(): number {
    return this.#scale;
  }

  /** Steps with finite gradients since the scale last fell. */
  get good(): number {
    return this.#good;
  }

  /** @returns whether the step took place */
  update(norm: number): boolean {
    if (!Number.isFinite(norm)) {
      this.#scale = Math.max(1, this.#scale / 2);
      this.#good = 0;
      return false;
    }
    this.#good++;
    if (this.#good % this.#growEvery === 0) this.#scale = Math.min(this.#largest, this.#scale * 2);
    return true;
  }
}
