/** Models by name, from half a million parameters to 1.9 billion. */
import type { DecoderConfig } from './config.js';
import { DecoderError } from './errors.js';

const sized = (vocabSize: number, contextLength: number, width: number, layers: number, heads: number): DecoderConfig => ({
  vocabSize,
  contextLength,
  layers,
  width,
  heads,
});
/** SCONE, section 4.1: GPT-2's vocabulary, WebText. Heads are 64 wide. */
const webText = (width: number, layers: number) => sized(50_257, 1024, width, layers, width / 64);
/** SCONE, section 4.2: OLMo's vocabulary and data. */
const olmo = (layers: number) => sized(50_304, 2048, 2048, layers, 16);
/** GPT-2's shape for small machines: a vocabulary that does not outweigh the blocks. */
const small = (vocabSize: number, contextLength: number, width: number, layers: number) =>
  sized(vocabSize, contextLength, width, layers, Math.max(2, width / 64));

/** What Llama and its relatives share. */
const llama = { norm: 'rms', attentionBias: 'none', mlp: 'swiglu', mlpBias: false } as const;

export const presets = {
  'gpt-0.5M': small(2048, 256, 96, 3),
  'gpt-1M': small(2048, 256, 128, 4),
  'gpt-3M': small(4096, 256, 192, 5),
  'gpt-10M': small(8192, 512, 320, 6),
  'gpt-30M': small(16_384, 512, 448, 9),
  'gpt-60M': small(32_768, 1024, 512, 13),
  'gpt2-124M': webText(768, 12),
  'gpt2-355M': webText(1024, 24),
  'scone-webtext-128M': webText(1024, 6),
  'scone-webtext-204M': webText(1024, 12),
  'scone-webtext-419M': webText(1536, 12),
  'scone-webtext-589M': webText(1536, 18),
  'scone-webtext-759M': webText(1536, 24),
  'scone-webtext-1099M': webText(1536, 36),
  'scone-olmo-0.7B': olmo(12),
  'scone-olmo-1B': olmo(18),
  'scone-olmo-1.3B': olmo(24),
  'scone-olmo-1.9B': olmo(36),
  'llama-0.5M': { ...small(2048, 256, 96, 3), ...llama, rotary: { base: 10_000 }, mlpWidth: 256 },
  'llama-3M': { ...small(4096, 256, 192, 5), ...llama, rotary: { base: 10_000 }, mlpWidth: 512 },
  'llama-10M': { ...small(8192, 512, 320, 6), ...llama, rotary: { base: 10_000 }, mlpWidth: 864 },
  'smollm2-135M': {
    ...sized(49_152, 8192, 576, 30, 9),
    ...llama,
    keyValueHeads: 3,
    rotary: { base: 100_000 },
    mlpWidth: 1536,
  },
  'smollm2-360M': {
    ...sized(49_152, 8192, 960, 32, 15),
    ...llama,
    keyValueHeads: 5,
    rotary: { base: 100_000 },
    mlpWidth: 2560,
  },
  'smollm2-1.7B': { ...sized(49_152, 8192, 2048, 24, 32), ...llama, rotary: { base: 130_000 }, mlpWidth: 8192 },
  'llama3.2-1B': {
    ...sized(128_256, 131_072, 2048, 16, 32),
    ...llama,
    keyValueHeads: 8,
    rotary: {
      base: 500_000,
      scaling: { kind: 'llama3', factor: 32, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 8192 },
    },
    mlpWidth: 8192,
  },
  'qwen2.5-0.5B': {
    ...sized(151_936, 32_768, 896, 24, 14),
    ...llama,
    attentionBias: 'qkv',
    keyValueHeads: 2,
    normEps: 1e-6,
    rotary: { base: 1e6 },
    mlpWidth: 4864,
  },
  'qwen3-0.6B': {
    ...sized(151_936, 40_960, 1024, 28, 16),
    ...llama,
    keyValueHeads: 8,
    headDim: 128,
    queryKeyNorm: 'head',
    normEps: 1e-6,
    rotary: { base: 1e6 },
    mlpWidth: 3072,
  },
  'olmo-1B': { ...sized(50_304, 2048, 2048, 16, 16), ...llama, norm: 'plain', rotary: { base: 10_000 }, mlpWidth: 8192 },
  'olmo2-1B': {
    ...sized(100_352, 4096, 2048, 16, 16),
    ...llama,
    normAfter: true,
    queryKeyNorm: 'all',
    normEps: 1e-6,
    rotary: { base: 500_000 },
    mlpWidth: 8192,
    tiedHead: false,
  },
} as const satisfies Readonly<Record<string, DecoderConfig>>;

export type PresetName = keyof typeof presets;

/** @throws {DecoderError} MODEL_CONFIG, with the names there are */
export function presetOf(name: string): DecoderConfig {
  if (Object.hasOwn(presets, name)) return presets[name as PresetName];
  throw new DecoderError('MODEL_CONFIG', `there is no preset '${name}'`, `Use one of: ${Object.keys(presets).join(', ')}.`);
}
