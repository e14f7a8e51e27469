import type { Layout } from '../layout.js';
import { llama } from './llama.js';

const tied = llama.switches.filter(({ key }) => key === 'tie_word_embeddings');
const expected = { ...llama.expected, use_sliding_window: [false], layer_types: ['full_attention'] };

/** Qwen 2 and 2.5: biases at queries, keys and values. */
export const qwen2: Layout = {
  ...llama,
  modelType: 'qwen2',
  architecture: 'Qwen2ForCausalLM',
  fixed: { ...llama.fixed, attentionBias: 'qkv', mlpBias: false },
  switches: tied,
  expected,
};

/** Qwen 3: heads of queries and keys are normalised; heads are 128 wide unless config.json says otherwise. */
export const qwen3: Layout = {
  ...llama,
  modelType: 'qwen3',
  architecture: 'Qwen3ForCausalLM',
  fixed: { ...llama.fixed, queryKeyNorm: 'head', mlpBias: false },
  absent: { ...llama.absent, headDim: 128 },
  switches: llama.switches.filter(({ key }) => key !== 'mlp_bias'),
  expected,
};
