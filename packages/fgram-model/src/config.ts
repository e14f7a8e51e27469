/** The sizes of an f-gram model, and the initial values with which it starts as the identity on its last token. */
import { blockShapes, initialValues, type ParameterShapes } from '@sconelm/decoder';
import { z } from 'zod';

const positive = z.int().positive();

export const fgramModelConfigSchema = z
  .strictObject({
    /** Longest f-gram, K. */
    maxLength: z.int().min(2),
    layers: positive,
    /** The width of the decoder's token table. */
    width: positive,
    heads: positive,
    /** u: the residual stream runs on (T + position) / u, and rows are gain · u · x. */
    unit: z.number().positive(),
    /** Rows are gain · LayerNorm(x) instead. */
    finalNorm: z.boolean(),
  })
  .refine(({ width, heads }) => width % heads === 0, { message: 'width must be a multiple of heads', path: ['heads'] })
  .readonly();

export type FgramModelConfig = z.infer<typeof fgramModelConfigSchema>;

/** Shapes of the f-gram model's parameters; the token table is the decoder's. */
export function fgramShapes({ maxLength, layers, width, finalNorm }: FgramModelConfig): ParameterShapes {
  const blocks = Array.from({ length: layers }, (_, i) => blockShapes(`fgram.h.${i}`, width));
  return {
    'fgram.pos.weight': { shape: [maxLength, width] },
    ...Object.assign({}, ...blocks),
    ...(finalNorm ? { 'fgram.lnf.weight': { shape: [width] }, 'fgram.lnf.bias': { shape: [width] } } : {}),
    'fgram.gain': { shape: [1] },
  };
}

const ZERO_AT_START = /^fgram\.(pos\.weight|h\.\d+\.(attn\.proj|mlp\.down)\.weight)$/;

/**
 * Values with which every row equals its last token's embedding: training starts exactly as the baseline, and A learns what the preceding
 * tokens add. A random start drowns T(s_i) in a common vector within a few steps.
 */
export function identityValues(
  config: FgramModelConfig,
  { seed, scale }: { seed: number; scale: number },
): Map<string, Float32Array<ArrayBuffer>> {
  const values = initialValues(fgramShapes(config), { layers: config.layers, seed, scale });
  for (const [name, data] of values) if (ZERO_AT_START.test(name)) data.fill(0);
  return values;
}
