/** Activations: they fuse into their neighbours. */
import { apply, type Tensor } from '../tensor.js';
import { geluOp, siluOp } from './smooth-activation.js';

/** The tanh form of GELU: x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))). [Hendrycks & Gimpel, 2016] */
export function gelu(x: Tensor): Tensor {
  return apply(geluOp, [x], {});
}

export function relu(x: Tensor): Tensor {
  return x.maximum(0);
}

/** 1 / (1 + e⁻ˣ), through tanh: nothing overflows. */
export function sigmoid(x: Tensor): Tensor {
  return x.mul(0.5).tanh().add(1).mul(0.5);
}

/** x · sigmoid(x). [Elfwing et al., 2017] */
export function silu(x: Tensor): Tensor {
  return apply(siluOp, [x], {});
}

/** log softmax over the last axis. */
export function logSoftmax(x: Tensor): Tensor {
  return x.sub(x.logSumExp(-1, { keepDims: true }));
}
