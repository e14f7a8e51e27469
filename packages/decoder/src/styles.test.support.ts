/** One small configuration per family of models that the decoder is able to be; for tests. */
import type { DecoderConfig } from './config.js';

const sizes = { vocabSize: 37, contextLength: 24, layers: 2, width: 16, heads: 4 };
const llama = {
  ...sizes,
  rotary: { base: 10_000 },
  norm: 'rms',
  attentionBias: 'none',
  mlp: 'swiglu',
  mlpWidth: 24,
  mlpBias: false,
} as const satisfies DecoderConfig;

export const styles: Readonly<Record<string, DecoderConfig>> = {
  'GPT-2': sizes,
  Llama: { ...llama, keyValueHeads: 2, tiedHead: false, normEps: 1e-6 },
  'Llama, stretched': {
    ...llama,
    keyValueHeads: 1,
    rotary: {
      base: 500_000,
      scaling: { kind: 'llama3', factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 16 },
    },
  },
  'Qwen 2': { ...llama, keyValueHeads: 2, attentionBias: 'qkv' },
  'Qwen 3': { ...llama, keyValueHeads: 2, headDim: 8, queryKeyNorm: 'head' },
  'OLMo 1': { ...llama, norm: 'plain', clipQkv: 0.4 },
  'OLMo 2': { ...llama, keyValueHeads: 2, normAfter: true, queryKeyNorm: 'all', tiedHead: false },
};
