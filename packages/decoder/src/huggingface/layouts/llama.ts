/** Llama, and SmolLM2, which is one; Qwen and OLMo start from it. */
import type { Layout } from '../layout.js';

const attention = 'model.layers.{}.self_attn';
const mlp = 'model.layers.{}.mlp';

export const llama: Layout = {
  modelType: 'llama',
  architecture: 'LlamaForCausalLM',
  fixed: { norm: 'rms', mlp: 'swiglu' },
  numbers: {
    vocabSize: 'vocab_size',
    contextLength: 'max_position_embeddings',
    layers: 'num_hidden_layers',
    width: 'hidden_size',
    heads: 'num_attention_heads',
    keyValueHeads: 'num_key_value_heads',
    headDim: 'head_dim',
    mlpWidth: 'intermediate_size',
    normEps: 'rms_norm_eps',
  },
  absent: { normEps: 1e-6 },
  switches: [
    { key: 'attention_bias', field: 'attentionBias', values: { true: 'all', false: 'none' }, absent: false },
    { key: 'mlp_bias', field: 'mlpBias', values: { true: true, false: false }, absent: false },
    { key: 'tie_word_embeddings', field: 'tiedHead', values: { true: true, false: false }, absent: false },
  ],
  activation: { key: 'hidden_act', names: ['silu', 'swish'] },
  expected: { partial_rotary_factor: [1] },
  prefix: 'model.',
  tensors: {
    'tok.weight': ['model.embed_tokens.weight'],
    'h.{}.ln1.weight': ['model.layers.{}.input_layernorm.weight'],
    'h.{}.attn.qkv.weight': [`${attention}.q_proj.weight`, `${attention}.k_proj.weight`, `${attention}.v_proj.weight`],
    'h.{}.attn.qkv.bias': [`${attention}.q_proj.bias`, `${attention}.k_proj.bias`, `${attention}.v_proj.bias`],
    'h.{}.attn.qnorm.weight': [`${attention}.q_norm.weight`],
    'h.{}.attn.knorm.weight': [`${attention}.k_norm.weight`],
    'h.{}.attn.proj.weight': [`${attention}.o_proj.weight`],
    'h.{}.attn.proj.bias': [`${attention}.o_proj.bias`],
    'h.{}.ln2.weight': ['model.layers.{}.post_attention_layernorm.weight'],
    'h.{}.mlp.up.weight': [`${mlp}.gate_proj.weight`, `${mlp}.up_proj.weight`],
    'h.{}.mlp.up.bias': [`${mlp}.gate_proj.bias`, `${mlp}.up_proj.bias`],
    'h.{}.mlp.down.weight': [`${mlp}.down_proj.weight`],
    'h.{}.mlp.down.bias': [`${mlp}.down_proj.bias`],
    'lnf.weight': ['model.norm.weight'],
    'head.weight': ['lm_head.weight'],
  },
  transposed: true,
  // Frequencies of old files: they follow from config.json.
  ignored: /(^|\.)rotary_emb\.inv_freq$/,
};
