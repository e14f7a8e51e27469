/** The transformer block of both models: pre-norm attention and MLP with biases, as in GPT-2. [Radford et al., 2019] */
import { gelu, layerNorm, type Shape, type Tensor } from '@sconelm/tensor-webgpu';

/** Parameter shapes by name, in the order of the checkpoint. */
export type ParameterShapes = Readonly<Record<string, { readonly shape: Shape }>>;

/** Gives the tensor of a parameter. */
export type Parameters = (name: string) => Tensor;

/** The parameters of block `prefix` at width d. */
export function blockShapes(prefix: string, d: number): ParameterShapes {
  return {
    [`${prefix}.ln1.weight`]: { shape: [d] },
    [`${prefix}.ln1.bias`]: { shape: [d] },
    [`${prefix}.attn.qkv.weight`]: { shape: [d, 3 * d] },
    [`${prefix}.attn.qkv.bias`]: { shape: [3 * d] },
    [`${prefix}.attn.proj.weight`]: { shape: [d, d] },
    [`${prefix}.attn.proj.bias`]: { shape: [d] },
    [`${prefix}.ln2.weight`]: { shape: [d] },
    [`${prefix}.ln2.bias`]: { shape: [d] },
    [`${prefix}.mlp.up.weight`]: { shape: [d, 4 * d] },
    [`${prefix}.mlp.up.bias`]: { shape: [4 * d] },
    [`${prefix}.mlp.down.weight`]: { shape: [4 * d, d] },
    [`${prefix}.mlp.down.bias`]: { shape: [d] },
  };
}

/** y = x W + b; x [N, in]. */
export function linear(x: Tensor, p: Parameters, name: string): Tensor {
  return x.matmul(p(`${name}.weight`)).add(p(`${name}.bias`));
}

export function norm(x: Tensor, p: Parameters, name: string): Tensor {
  return layerNorm(x, p(`${name}.weight`), p(`${name}.bias`));
}

/**
 * One block over rows x [N, d]. @param attend [N, 3d] packed queries, keys, values -> [N, d]
 */
export function transformerBlock(x: Tensor, p: Parameters, prefix: string, attend: (qkv: Tensor) => Tensor): Tensor {
  const attended = x.add(linear(attend(linear(norm(x, p, `${prefix}.ln1`), p, `${prefix}.attn.qkv`)), p, `${prefix}.attn.proj`));
  return attended.add(linear(gelu(linear(norm(attended, p, `${prefix}.ln2`), p, `${prefix}.mlp.up`)), p, `${prefix}.mlp.down`));
}
