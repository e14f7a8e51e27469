/** AdamW over a whole set of variables in one dispatch, with clipping of the global gradient norm. [Loshchilov & Hutter, 2019] */
import { type Update, update } from '../compile/compile.js';
import type { Device } from '../device/device.js';
import type { VariableSet } from '../device/variables.js';
import { ShapeError } from '../errors.js';
import { adamWUpdate, globalNorm, pack } from '../ops/update.js';
import type { Shape } from '../shape.js';
import { type Tensor, tensor } from '../tensor.js';

export interface ParameterGroup {
  readonly weightDecay: number;
  /** The parameter's learning rate as a share of the step's. */
  readonly rateFactor: number;
}

export interface AdamWOptions {
  readonly beta1?: number;
  readonly beta2?: number;
  readonly eps?: number;
  /** Gradients are scaled so that their global norm is at most this; Infinity leaves them. */
  readonly clipNorm?: number;
  /** Which weight decay and learning rate a parameter has. */
  readonly group: (name: string, shape: Shape) => ParameterGroup;
}

export class AdamW implements Disposable {
  /** 'm' and 'v': first and second moments, laid out like the parameters' flat buffer. */
  readonly moments: VariableSet;
  readonly #parameters: VariableSet;
  readonly #attributes: { beta1: number; beta2: number; eps: number; clipNorm: number };
  readonly #blocks: Tensor;
  readonly #groups: Tensor;

  constructor(device: Device, parameters: VariableSet, { beta1 = 0.9, beta2 = 0.95, eps = 1e-8, clipNorm = 1, group }: AdamWOptions) {
    this.#parameters = parameters;
    this.#attributes = { beta1, beta2, eps, clipNorm };
    const groups: ParameterGroup[] = [];
    const blocks = parameters.blocks((name, shape) => {
      const { weightDecay, rateFactor } = group(name, shape);
      const known = groups.findIndex((other) => other.weightDecay === weightDecay && other.rateFactor === rateFactor);
      return known >= 0 ? known : groups.push({ weightDecay, rateFactor }) - 1;
    });
    this.#blocks = tensor(blocks);
    this.#groups = tensor(new Float32Array(groups.flatMap(({ weightDecay, rateFactor }) => [weightDecay, rateFactor])), [groups.length, 2]);
    const { shape } = parameters.flat;
    this.moments = device.variables({ m: { shape }, v: { shape } }, 'moments');
  }

  /**
   * @param gradients one per parameter, in the order of the set's names
   * @param rates [4] f32: what `rates` gives for the step
   * @returns the updates that make the step, and the global norm before clipping, of the loss as it is (scaled, where it is)
   * @throws {ShapeError} if the gradients are not one per parameter
   */
  step(gradients: readonly Tensor[], rates: Tensor): { readonly updates: readonly Update[]; readonly norm: Tensor } {
    const { names, offsets, flat } = this.#parameters;
    if (gradients.length !== names.length) throw new ShapeError(`AdamW: ${gradients.length} gradients for ${names.length} parameters`);
    const packed = pack(gradients, offsets, flat.tensor.size);
    const norm = globalNorm(packed, this.#blocks);
    const m = this.moments.get('m');
    const v = this.moments.get('v');
    const [parameters, firstMoments, secondMoments] = adamWUpdate(
      {
        parameters: flat.tensor,
        gradients: packed,
        firstMoments: m.tensor,
        secondMoments: v.tensor,
        norm,
        blocks: this.#blocks,
        groups: this.#groups,
        rates,
      },
      this.#attributes,
    );
    return { updates: [update(flat, parameters), update(m, firstMoments), update(v, secondMoments)], norm };
  }

  /**
   * The input `rates` of step 1, 2, ..: learning rate, the bias corrections 1 − β1ᵗ, 1 − β2ᵗ, and what undoes the scale of the loss.
   * A step whose gradients are not all finite changes nothing.
   */
  rates(step: number, learningRate: number, lossScale = 1): Float32Array<ArrayBuffer> {
    return new Float32Array([learningRate, 1 - this.#attributes.beta1 ** step, 1 - this.#attributes.beta2 ** step, 1 / lossScale]);
  }

  [Symbol.dispose](): void {
    this.moments[Symbol.dispose]();
  }
}
