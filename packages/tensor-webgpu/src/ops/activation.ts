/** Activations, as compositions: they fuse into their neighbours. */
import type { Tensor } from '../tensor.js';

/** The tanh form of GELU: x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))). [Hendrycks & Gimpel, 2016] */
export function gelu(x: Tensor): Tensor {
  const inner = x.add(x.mul(x).mul(x).mul(0.044715)).mul(Math.sqrt(2 / Math.PI));
  return x.mul(0.5).mul(inner.tanh().add(1));
}

/** Softmax over the last axis, shifted by the row's maximum. */
export function softmax(x: Tensor): Tensor {
  const e = x.sub(x.max(-1, { keepDims: true })).exp();
  return e.div(e.sum(-1, { keepDims: true }));
}
