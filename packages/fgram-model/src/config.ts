/** The sizes of an f-gram model, and the initial values with which it starts as the identity on its last token. */
import { blockShapes, initialValues, normShapes, type ParameterShapes } from '@sconelm/decoder';
import { z } from 'zod';

const positive = z.int().positive();

export const fgramModelConfigSchema = z
  .strictObject({
    /** Longest f-gram, K. */
    maxLength: z.int().min(2),
    /** Of transformer blocks; 0: no f-gram model, rows are T(last token) + R[id], a plain trainable table. */
    layers: z.int().nonnegative(),
    /** The width of the decoder's token table. */
    width: positive,
    heads: positive,
    /** u: the residual stream runs on (T + position) / u, and rows are gain · u · x. */
    unit: z.number().positive(),
    /** Rows are gain · LayerNorm(x) instead. */
    finalNorm: z.boolean(),
    /**
     * What becomes of T(last token), t, and the f-gram model's output, a: `replace` (where absent): a, as in the paper; `add`: t and what the
     * blocks added; `gated`: t + g ⊙ (a − t), the gate g = σ(W x + b). All are functions of the f-gram alone, so what is stored is the row.
     */
    combine: z.enum(['replace', 'add', 'gated']).optional(),
    /** So many f-grams, from the most frequent on, have a residual row R[id] that is added to A's; absent: none. */
    residualRows: positive.optional(),
    /** The f-gram model reads a token table of its own, which starts as the decoder's. */
    ownTable: z.boolean().optional(),
  })
  .refine(({ width, heads }) => width % heads === 0, { message: 'width must be a multiple of heads', path: ['heads'] })
  .refine(({ layers, residualRows }) => layers > 0 || residualRows !== undefined, {
    message: 'without layers there must be residual rows',
    path: ['residualRows'],
  })
  .refine(({ layers, combine, ownTable }) => layers > 0 || (combine === undefined && ownTable === undefined), {
    message: 'without layers there is nothing to combine',
    path: ['combine'],
  })
  .refine(({ finalNorm, combine = 'replace' }) => !finalNorm || combine === 'replace', {
    message: 'a final norm does not start at nothing added',
    path: ['finalNorm'],
  })
  .readonly();

export type FgramModelConfig = z.infer<typeof fgramModelConfigSchema>;

/** Shapes of the f-gram model's parameters, residual rows apart; the token table is the decoder's unless it has its own, [vocabSize, d]. */
export function fgramShapes(config: FgramModelConfig, vocabSize: number): ParameterShapes {
  const { maxLength, layers, width, finalNorm, combine, ownTable } = config;
  if (layers === 0) return {};
  const blocks = Array.from({ length: layers }, (_, i) => blockShapes(`fgram.h.${i}`, config));
  return {
    ...(ownTable ? { 'fgram.tok.weight': { shape: [vocabSize, width] } } : {}),
    'fgram.pos.weight': { shape: [maxLength, width] },
    ...Object.assign({}, ...blocks),
    ...(finalNorm ? normShapes('fgram.lnf', config) : {}),
    ...(combine === 'gated' ? { 'fgram.gate.weight': { shape: [width, width] }, 'fgram.gate.bias': { shape: [width] } } : {}),
    'fgram.gain': { shape: [1] },
  };
}

/** The table R of residual rows. */
export const RESIDUAL = 'fgram.residual.weight';

/** Its shape; nothing where there are none. */
export function residualShapes({ residualRows, width }: FgramModelConfig): ParameterShapes {
  return residualRows === undefined ? {} : { [RESIDUAL]: { shape: [residualRows, width] } };
}

const ZERO_AT_START = /^fgram\.(pos\.weight|h\.\d+\.(attn\.proj|mlp\.down)\.weight|gate\.weight)$/;

/**
 * Values with which every row equals its last token's embedding: training starts exactly as the baseline, and A learns what the preceding
 * tokens add. A random start drowns T(s_i) in a common vector within a few steps.
 * @param tokenTable initial values of the decoder's token table, [V, d]
 */
export function identityValues(
  config: FgramModelConfig,
  { seed, scale, tokenTable }: { seed: number; scale: number; tokenTable: Float32Array<ArrayBuffer> },
): Map<string, Float32Array<ArrayBuffer>> {
  const values = initialValues(fgramShapes(config, tokenTable.length / config.width), { layers: config.layers, seed, scale });
  for (const [name, data] of values) if (ZERO_AT_START.test(name)) data.fill(0);
  values.get('fgram.tok.weight')?.set(tokenTable);
  for (const [name, { shape }] of Object.entries(residualShapes(config))) values.set(name, new Float32Array(shape[0] * shape[1]));
  return values;
}
