/** A whole model: a decoder, with or without an f-gram model and residual rows, and the variables of all on a device. */
import {
  type DecoderConfig,
  decoderConfigSchema,
  decoderShapes,
  initialValues,
  type ParameterShapes,
  type Parameters,
} from '@sconelm/decoder';
import type { Device, Variable, VariableSet } from '@sconelm/tensor-webgpu';
import { z } from 'zod';
import { fgramModelConfigSchema, fgramShapes, identityValues, RESIDUAL, residualShapes } from './config.js';

export const modelConfigSchema = z
  .strictObject({
    decoder: decoderConfigSchema,
    /** Absent for a plain decoder. */
    fgram: fgramModelConfigSchema.optional(),
  })
  .refine(({ decoder, fgram }) => fgram === undefined || fgram.width === decoder.width, {
    message: 'the f-gram model must be as wide as the decoder',
    path: ['fgram', 'width'],
  })
  .readonly();

export type ModelConfig = z.infer<typeof modelConfigSchema>;

/** A model as it is used: its parameters by name. */
export interface InferenceModel extends Disposable {
  readonly config: ModelConfig;
  readonly parameters: Parameters;
}

/** A model as it is trained. */
export interface Model extends InferenceModel {
  /** Every variable, in the order of a checkpoint: `dense`, then the residual rows. */
  readonly variables: readonly Variable[];
  /** What every step changes: the decoder's and the f-gram model's parameters. */
  readonly dense: VariableSet;
  /** R [residualRows, d], of which a step changes the rows that it touches; absent in a model without. */
  readonly residual?: Variable;
}

/** Shapes of the parameters that every step changes, in the order of a checkpoint: the decoder's, then the f-gram model's. */
export function modelShapes({
  decoder,
  fgram,
}: {
  readonly decoder: DecoderConfig;
  readonly fgram?: ModelConfig['fgram'];
}): ParameterShapes {
  return { ...decoderShapes(decoder), ...(fgram === undefined ? {} : fgramShapes(fgram, decoder.vocabSize)) };
}

/** Variables of a model, all zero. */
export function allocateModel(device: Device, config: ModelConfig): Model {
  const dense = device.variables(modelShapes(config), 'parameters');
  const rows = config.fgram === undefined ? {} : residualShapes(config.fgram);
  const sets = [dense, ...(RESIDUAL in rows ? [device.variables(rows, 'residual rows')] : [])];
  for (const { flat } of sets) flat.write(new Float32Array(flat.tensor.size));
  const variables = sets.flatMap((set) => [...set]);
  const byName = new Map(variables.map((variable) => [variable.name, variable]));
  const residual = byName.get(RESIDUAL);
  return {
    config,
    variables,
    dense,
    ...(residual === undefined ? {} : { residual }),
    parameters: (name) => (byName.get(name) ?? dense.get(name)).tensor,
    [Symbol.dispose]: () => {
      for (const set of sets) set[Symbol.dispose]();
    },
  };
}

/** A model with its initial values. @param scale deviation of the initial weights, about 1/√width; 0.02 is right from width 512 on */
export function createModel(
  device: Device,
  config: ModelConfig,
  { seed, scale = 0.1 }: { readonly seed: number; readonly scale?: number },
): Model {
  const model = allocateModel(device, config);
  const { decoder, fgram } = config;
  const values = initialValues(decoderShapes(decoder), { layers: decoder.layers, seed, scale });
  const tokenTable = values.get('tok.weight');
  if (tokenTable === undefined) throw new Error('unreachable: a decoder has a token table');
  if (fgram !== undefined) for (const [name, data] of identityValues(fgram, { seed, scale, tokenTable })) values.set(name, data);
  for (const variable of model.variables) variable.write(values.get(variable.name) ?? new Float32Array());
  return model;
}
