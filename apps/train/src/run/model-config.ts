/** A model's configuration from the options of a command and what it is trained on. */
import { UsageError } from '@sconelm/cli-kit';
import { type DecoderConfig, presetOf } from '@sconelm/decoder';
import { type ModelConfig, modelConfigSchema } from '@sconelm/fgram-model';
import { z } from 'zod';
import { modelFields } from './training-config.js';

const optionsSchema = z.object(modelFields);
export type ModelOptions = z.output<typeof optionsSchema>;

/** Of an f-gram model on a token table with the initial deviation of our recipe. */
const UNIT = 0.03;

/**
 * @param set of the f-grams; absent for a plain decoder @param pretrained decoder in the place of the one that the options say
 * @throws {UsageError} naming the option
 */
export function modelOf(
  options: ModelOptions,
  vocabSize: number,
  set: { readonly maxLength: number; readonly size: number } | undefined,
  pretrained?: { readonly config: DecoderConfig; readonly unit: number },
) {
  const { preset, layers, width, heads, contextLength } = options;
  const sizes = preset === undefined ? { contextLength, layers, width, heads } : presetOf(preset);
  const decoder = pretrained?.config ?? { ...sizes, vocabSize };
  const unit = options.unit ?? pretrained?.unit ?? UNIT;
  return expectModel({ decoder, ...(set === undefined ? {} : { fgram: fgramOf({ ...options, ...decoder, unit }, set) }) });
}

function fgramOf(
  { width, heads, unit, fgramLayers, rows, tableRows, combine, fgramTable }: ModelOptions & { readonly unit: number },
  { maxLength, size }: { readonly maxLength: number; readonly size: number },
): ModelConfig['fgram'] {
  return {
    ...{ maxLength, width, heads, unit, finalNorm: false },
    layers: rows === 'table' ? 0 : fgramLayers,
    ...(rows === 'model' ? {} : { residualRows: Math.min(tableRows ?? size, size) }),
    ...(combine === 'replace' ? {} : { combine }),
    ...(fgramTable === 'shared' ? {} : { ownTable: true }),
  };
}

function expectModel(model: ModelConfig): ModelConfig {
  const { success, data, error } = modelConfigSchema.safeParse(model);
  if (success) return data;
  const [{ path: field, message }] = error.issues;
  throw new UsageError(`--${String(field.at(-1))}: ${message}`);
}
