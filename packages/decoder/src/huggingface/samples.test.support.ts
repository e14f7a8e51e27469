/** Small folders in the form of each family, with random weights: config.json as the hub has it, tensors by their shapes there. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { normal, seedFor } from '../random.js';
import { encodeSafetensors, type NamedTensor, type StoredDType } from '../safetensors.js';
import type { ConfigFile } from './reference.test.support.js';

const common = {
  vocab_size: 41,
  hidden_size: 24,
  intermediate_size: 40,
  num_hidden_layers: 2,
  num_attention_heads: 6,
  max_position_embeddings: 32,
  hidden_act: 'silu',
  rope_theta: 10_000.0,
  rope_scaling: null,
  use_cache: true,
  bos_token_id: 1,
  eos_token_id: 2,
};

export const samples: Readonly<Record<string, ConfigFile>> = {
  'GPT-2': {
    ...{
      model_type: 'gpt2',
      architectures: ['GPT2LMHeadModel'],
      vocab_size: 41,
      n_embd: 24,
      n_layer: 2,
      n_head: 4,
      n_positions: 32,
      n_ctx: 32,
    },
    ...{ activation_function: 'gelu_new', layer_norm_epsilon: 1e-5, bos_token_id: 40, eos_token_id: 40, attn_pdrop: 0.1 },
  },
  Llama: { model_type: 'llama', ...common, num_key_value_heads: 2, rms_norm_eps: 1e-5, tie_word_embeddings: false, pretraining_tp: 1 },
  'Llama 3.2': {
    ...{ model_type: 'llama', ...common, num_key_value_heads: 2, head_dim: 4, rms_norm_eps: 1e-5, tie_word_embeddings: true },
    ...{ rope_theta: 500_000.0, eos_token_id: [2, 3], attention_bias: false, mlp_bias: false },
    rope_scaling: { factor: 32.0, high_freq_factor: 4.0, low_freq_factor: 1.0, original_max_position_embeddings: 16, rope_type: 'llama3' },
  },
  SmolLM2: {
    model_type: 'llama',
    ...common,
    num_attention_heads: 3,
    num_key_value_heads: 1,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: true,
    rope_theta: 100_000,
  },
  'Llama with biases, stretched': {
    ...{ model_type: 'llama', ...common, attention_bias: true, mlp_bias: true, rms_norm_eps: 1e-5, tie_word_embeddings: true },
    rope_scaling: { rope_type: 'linear', factor: 2.5 },
  },
  'Qwen 2': {
    ...{ model_type: 'qwen2', ...common, num_key_value_heads: 2, rms_norm_eps: 1e-6, tie_word_embeddings: true, rope_theta: 1_000_000.0 },
    ...{ use_sliding_window: false, sliding_window: 32, max_window_layers: 2, attention_dropout: 0.0 },
  },
  'Qwen 3': {
    ...{ model_type: 'qwen3', ...common, num_key_value_heads: 2, head_dim: 8, rms_norm_eps: 1e-6, tie_word_embeddings: false },
    ...{ attention_bias: false, use_sliding_window: false, sliding_window: null, max_window_layers: 2 },
  },
  'OLMo 1': { model_type: 'olmo', ...common, num_key_value_heads: 6, clip_qkv: 0.7, attention_bias: false, tie_word_embeddings: true },
  'OLMo 2': {
    model_type: 'olmo2',
    ...common,
    num_key_value_heads: 3,
    rms_norm_eps: 1e-6,
    attention_bias: false,
    tie_word_embeddings: false,
  },
};

/** Shapes of the tensors, written down from the models' files. */
function shapesOf(json: ConfigFile): Record<string, number[]> {
  if (json.model_type === 'gpt2') {
    const d = json.n_embd;
    const shapes: Record<string, number[]> = { 'wte.weight': [json.vocab_size, d], 'wpe.weight': [json.n_positions, d] };
    for (let i = 0; i < json.n_layer; i++) {
      Object.assign(shapes, {
        [`h.${i}.ln_1.weight`]: [d],
        [`h.${i}.ln_1.bias`]: [d],
        [`h.${i}.attn.c_attn.weight`]: [d, 3 * d],
        [`h.${i}.attn.c_attn.bias`]: [3 * d],
        [`h.${i}.attn.c_proj.weight`]: [d, d],
        [`h.${i}.attn.c_proj.bias`]: [d],
        [`h.${i}.ln_2.weight`]: [d],
        [`h.${i}.ln_2.bias`]: [d],
        [`h.${i}.mlp.c_fc.weight`]: [d, 4 * d],
        [`h.${i}.mlp.c_fc.bias`]: [4 * d],
        [`h.${i}.mlp.c_proj.weight`]: [4 * d, d],
        [`h.${i}.mlp.c_proj.bias`]: [d],
      });
    }
    Object.assign(shapes, { 'ln_f.weight': [d], 'ln_f.bias': [d] });
    return Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [`transformer.${name}`, shape]));
  }
  const { hidden_size: d, intermediate_size: m, num_attention_heads: heads, vocab_size: V } = json;
  const headDim = json.head_dim ?? d / heads;
  const [q, kv] = [heads * headDim, (json.num_key_value_heads ?? heads) * headDim];
  const type = json.model_type;
  const shapes: Record<string, number[]> = { 'model.embed_tokens.weight': [V, d] };
  for (let i = 0; i < json.num_hidden_layers; i++) {
    const put = (name: string, ...shape: number[]) => {
      shapes[`model.layers.${i}.${name}`] = shape;
    };
    const norms: Record<string, string[]> = { olmo: [], olmo2: ['post_attention_layernorm', 'post_feedforward_layernorm'] };
    for (const norm of norms[type] ?? ['input_layernorm', 'post_attention_layernorm']) put(`${norm}.weight`, d);
    put('self_attn.q_proj.weight', q, d);
    put('self_attn.k_proj.weight', kv, d);
    put('self_attn.v_proj.weight', kv, d);
    put('self_attn.o_proj.weight', d, q);
    if (type === 'qwen2' || json.attention_bias === true) {
      put('self_attn.q_proj.bias', q);
      put('self_attn.k_proj.bias', kv);
      put('self_attn.v_proj.bias', kv);
    }
    if (json.attention_bias === true) put('self_attn.o_proj.bias', d);
    if (type === 'qwen3' || type === 'olmo2') {
      put('self_attn.q_norm.weight', type === 'qwen3' ? headDim : q);
      put('self_attn.k_norm.weight', type === 'qwen3' ? headDim : kv);
    }
    put('mlp.gate_proj.weight', m, d);
    put('mlp.up_proj.weight', m, d);
    put('mlp.down_proj.weight', d, m);
    if (json.mlp_bias === true) {
      put('mlp.gate_proj.bias', m);
      put('mlp.up_proj.bias', m);
      put('mlp.down_proj.bias', d);
    }
  }
  if (type !== 'olmo') shapes['model.norm.weight'] = [d];
  if (json.tie_word_embeddings === false) shapes['lm_head.weight'] = [V, d];
  return shapes;
}

/** Random tensors: weights of deviation 0.25, norms about one. */
export function tensorsOf(json: ConfigFile, seed = 1): Map<string, NamedTensor> {
  return new Map(
    Object.entries(shapesOf(json)).map(([name, shape]) => {
      const own = seedFor(seed, name);
      const centre = /norm\.weight|ln_.\.weight/.test(name) ? 1 : 0;
      const size = shape.reduce((product, extent) => product * extent, 1);
      return [name, { shape, data: Float32Array.from({ length: size }, (_, i) => centre + 0.25 * normal(own, i)) }];
    }),
  );
}

/** Writes config.json and model.safetensors, or shards of about equal counts of tensors. */
export function writeSample(
  directory: string,
  json: ConfigFile,
  tensors: ReadonlyMap<string, NamedTensor>,
  { dtype = 'F32', shards = 1 }: { readonly dtype?: StoredDType; readonly shards?: number } = {},
): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'config.json'), JSON.stringify(json));
  if (shards === 1) {
    writeFileSync(join(directory, 'model.safetensors'), encodeSafetensors(tensors, { format: 'pt' }, { dtype }));
    return;
  }
  const names = [...tensors.keys()];
  const fileOf = (i: number) => `model-${String((i % shards) + 1).padStart(5, '0')}-of-${String(shards).padStart(5, '0')}.safetensors`;
  for (let shard = 0; shard < shards; shard++) {
    const own = new Map([...tensors].filter((_, i) => i % shards === shard));
    writeFileSync(join(directory, fileOf(shard)), encodeSafetensors(own, { format: 'pt' }, { dtype }));
  }
  const index = { metadata: { total_size: 0 }, weight_map: Object.fromEntries(names.map((name, i) => [name, fileOf(i)])) };
  writeFileSync(join(directory, 'model.safetensors.index.json'), JSON.stringify(index));
}
