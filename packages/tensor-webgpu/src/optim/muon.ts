/** Muon: momentum whose matrices are made orthogonal, composed from the ops of this package. [Jordan et al., 2024] */
import { type Update, update } from '../compile/compile.js';
import type { Device } from '../device/device.js';
import type { VariableSet } from '../device/variables.js';
import { ShapeError } from '../errors.js';
import type { Tensor } from '../tensor.js';

export interface MuonOptions {
  readonly momentum?: number;
  readonly weightDecay?: number;
  /** Newton–Schulz iterations. */
  readonly iterations?: number;
}

/** U Vᵀ of the singular value decomposition of a matrix [M, N], roughly: singular values end between 0.7 and 1.2. */
export function orthogonalize(matrix: Tensor, iterations = 5): Tensor {
  const [M, N] = matrix.shape;
  let x = M > N ? matrix.transpose() : matrix;
  x = x.mul(x.square().sum().sqrt().add(1e-7).pow(-1));
  for (let i = 0; i < iterations; i++) {
    const a = x.matmul(x, { transposeB: true });
    x = x.mul(3.4445).add(a.mul(-4.775).add(a.matmul(a).mul(2.0315)).matmul(x));
  }
  return M > N ? x.transpose() : x;
}

export class Muon implements Disposable {
  readonly state: VariableSet;
  readonly #parameters: VariableSet;
  readonly #options: Required<MuonOptions>;

  /** @throws {ShapeError} if a parameter is no matrix: give those to another optimiser */
  constructor(device: Device, parameters: VariableSet, { momentum = 0.95, weightDecay = 0, iterations = 5 }: MuonOptions = {}) {
    for (const { name, shape } of parameters)
      if (shape.length !== 2) throw new ShapeError(`Muon: '${name}' is no matrix`, 'Give it to another optimiser.');
    this.#parameters = parameters;
    this.#options = { momentum, weightDecay, iterations };
    this.state = device.variables(
      Object.fromEntries(parameters.names.map((name) => [name, { shape: parameters.get(name).shape }])),
      'momentum',
    );
  }

  /**
   * @param gradients one per parameter, in the order of the set's names
   * @param rate scalar
   * @throws {ShapeError} if the gradients are not one per parameter
   */
  step(gradients: readonly Tensor[], rate: Tensor): Update[] {
    const { names } = this.#parameters;
    if (gradients.length !== names.length) throw new ShapeError(`Muon: ${gradients.length} gradients for ${names.length} parameters`);
    const { momentum, weightDecay, iterations } = this.#options;
    return names.flatMap((name, i) => {
      const [parameter, state] = [this.#parameters.get(name), this.state.get(name)];
      const next = state.tensor.mul(momentum).add(gradients[i].mul(1 - momentum));
      const direction = orthogonalize(gradients[i].mul(1 - momentum).add(next.mul(momentum)), iterations);
      const scale = Math.sqrt(Math.max(1, parameter.shape[0] / parameter.shape[1]));
      const decayed = parameter.tensor.sub(parameter.tensor.mul(rate).mul(weightDecay));
      return [update(state, next), update(parameter, decayed.sub(direction.mul(scale).mul(rate)))];
    });
  }

  [Symbol.dispose](): void {
    this.state[Symbol.dispose]();
  }
}
