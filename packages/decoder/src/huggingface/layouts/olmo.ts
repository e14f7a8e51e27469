import type { Layout } from '../layout.js';
import { llama } from './llama.js';

const { normEps, headDim, ...numbers } = llama.numbers;
const switches = llama.switches.filter(({ key }) => key !== 'mlp_bias');

/** OLMo 1: layer norms without parameters, clamped queries, keys and values in some sizes. */
export const olmo: Layout = {
  ...llama,
  modelType: 'olmo',
  architecture: 'OlmoForCausalLM',
  fixed: { norm: 'plain', normEps: 1e-5, mlp: 'swiglu', mlpBias: false },
  numbers: { ...numbers, clipQkv: 'clip_qkv' },
  absent: {},
  switches,
};

/** OLMo 2: what a branch gives is normalised, and all of the queries together, and all of the keys. */
export const olmo2: Layout = {
  ...llama,
  modelType: 'olmo2',
  architecture: 'Olmo2ForCausalLM',
  fixed: { ...llama.fixed, normAfter: true, queryKeyNorm: 'all', mlpBias: false },
  numbers: { ...numbers, normEps: 'rms_norm_eps' },
  absent: { normEps: 1e-5 },
  switches,
  tensors: {
    ...llama.tensors,
    'h.{}.ln1.weight': ['model.layers.{}.post_attention_layernorm.weight'],
    'h.{}.ln2.weight': ['model.layers.{}.post_feedforward_layernorm.weight'],
  },
};
