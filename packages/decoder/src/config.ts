/** What a decoder is: its sizes, and where it departs from GPT-2. Every departure is one optional field, so that GPT-2 is five numbers. */
import { z } from 'zod';
import { DecoderError } from './errors.js';

/** Bounds are a few times what the largest models have: a hostile file gets no further than this check. */
const upTo = (most: number) => z.int().positive().max(most);
const above0 = z.number().positive().max(1e12);

/** Stretching of rotary positions, by the names that Hugging Face gives: `linear` [Chen et al., 2023], `llama3` [Grattafiori et al., 2024]. */
const rotaryScalingSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('linear'), factor: above0 }).readonly(),
  z
    .strictObject({
      kind: z.literal('llama3'),
      factor: above0,
      lowFrequencyFactor: above0,
      highFrequencyFactor: above0,
      originalContext: upTo(2 ** 24),
    })
    .refine(({ lowFrequencyFactor, highFrequencyFactor }) => lowFrequencyFactor < highFrequencyFactor, {
      message: 'must be above lowFrequencyFactor',
      path: ['highFrequencyFactor'],
    })
    .readonly(),
]);

export const decoderConfigSchema = z
  .strictObject({
    vocabSize: upTo(2 ** 20),
    /** Most positions, C. */
    contextLength: upTo(2 ** 20),
    /** L. */
    layers: upTo(512),
    /** D, of the residual stream. */
    width: upTo(2 ** 15),
    /** H, heads of queries. */
    heads: upTo(2 ** 10),
    /** G, heads of keys and values; H by default. [Ainslie et al., 2023] */
    keyValueHeads: upTo(2 ** 10).optional(),
    /** D / H by default. */
    headDim: upTo(2 ** 10).optional(),
    /** Rotary positions in the place of learned ones. [Su et al., 2021] */
    rotary: z.strictObject({ base: above0, scaling: rotaryScalingSchema.optional() }).readonly().optional(),
    /** `layer` by default; `rms` [Zhang & Sennrich, 2019]; `plain`, layer norm without weight and bias, as in OLMo 1. */
    norm: z.enum(['layer', 'rms', 'plain']).optional(),
    /** 1e-5 by default. */
    normEps: above0.optional(),
    /** Normalises what a branch gives, not what it takes, as OLMo 2 does. */
    normAfter: z.boolean().optional(),
    /** RMS norm of queries and keys: of each head as in Qwen 3, or of all heads together as in OLMo 2. */
    queryKeyNorm: z.enum(['head', 'all']).optional(),
    /** Queries, keys and values are clamped to ± this. */
    clipQkv: above0.optional(),
    /** Where the attention adds a bias: `all` by default, `qkv` as in Qwen 2, or `none`. */
    attentionBias: z.enum(['all', 'qkv', 'none']).optional(),
    /** `gelu` by default, in its tanh form; `swiglu`: silu(gate) · up. [Shazeer, 2020] */
    mlp: z.enum(['gelu', 'swiglu']).optional(),
    /** 4 D by default. */
    mlpWidth: upTo(2 ** 17).optional(),
    /** True by default. */
    mlpBias: z.boolean().optional(),
    /** Whether the head is the token table; true by default. */
    tiedHead: z.boolean().optional(),
  })
  .refine(({ width, heads, headDim }) => headDim !== undefined || width % heads === 0, {
    message: 'width must be a multiple of heads, unless headDim is given',
    path: ['heads'],
  })
  .refine(({ heads, keyValueHeads = heads }) => heads % keyValueHeads === 0, {
    message: 'heads must be a multiple of keyValueHeads',
    path: ['keyValueHeads'],
  })
  .refine(({ rotary, width, heads, headDim = width / heads }) => rotary === undefined || headDim % 2 === 0, {
    message: 'rotary positions need an even headDim',
    path: ['rotary'],
  });

export type DecoderConfig = z.infer<typeof decoderConfigSchema>;

/** What a block is made of: a decoder's configuration is one. */
export type BlockConfig = Pick<DecoderConfig, 'width' | 'heads'> & Partial<Omit<DecoderConfig, 'width' | 'heads'>>;

/** A block's configuration with nothing left open. */
export function completeBlock({
  width,
  heads,
  keyValueHeads = heads,
  headDim = width / heads,
  norm = 'layer',
  normEps = 1e-5,
  normAfter = false,
  queryKeyNorm,
  clipQkv,
  attentionBias = 'all',
  mlp = 'gelu',
  mlpWidth = 4 * width,
  mlpBias = true,
}: BlockConfig) {
  return { width, heads, keyValueHeads, headDim, norm, normEps, normAfter, queryKeyNorm, clipQkv, attentionBias, mlp, mlpWidth, mlpBias };
}

/**
 * The same model with a shorter context, for its cache and its windows: rotary positions have no table to be cut.
 * @param wanted default: the model's own, at most 2,048 where positions are rotary
 * @throws {DecoderError} MODEL_CONFIG: a longer one, or positions are learned
 */
export function withContext(config: DecoderConfig, wanted?: number): DecoderConfig {
  const { contextLength: own, rotary } = config;
  const contextLength = wanted ?? (rotary === undefined ? own : Math.min(own, 2048));
  if (contextLength > own || (rotary === undefined && contextLength !== own))
    throw new DecoderError(
      'MODEL_CONFIG',
      `a context of ${contextLength}, but the model has ${own} positions`,
      'Leave the context length out.',
    );
  return { ...config, contextLength };
}

/** @throws {DecoderError} MODEL_CONFIG, naming the field */
export function parseDecoderConfig(value: unknown): DecoderConfig {
  const result = decoderConfigSchema.safeParse(value);
  if (result.success) return result.data;
  const [{ path, message }] = result.error.issues;
  throw new DecoderError('MODEL_CONFIG', `decoder configuration, ${path.join('.') || 'whole'}: ${message}`, 'Correct this field.');
}
