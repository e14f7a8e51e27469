/** A whole model: a decoder, with or without an f-gram model, and the variables of both on a device. */
import {
  type DecoderConfig,
  decoderConfigSchema,
  decoderShapes,
  initialValues,
  type ParameterShapes,
  type Parameters,
} from '@sconelm/decoder';
import type { Device, VariableSet } from '@sconelm/tensor-webgpu';
import { z } from 'zod';
import { fgramModelConfigSchema, fgramShapes, identityValues } from './config.js';

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

export interface Model extends Disposable {
  readonly config: ModelConfig;
  readonly variables: VariableSet;
  readonly parameters: Parameters;
}

/** Shapes of all parameters, in the order of a checkpoint: the decoder's, then the f-gram model's. */
export function modelShapes({
  decoder,
  fgram,
}: {
  readonly decoder: DecoderConfig;
  readonly fgram?: ModelConfig['fgram'];
}): ParameterShapes {
  return { ...decoderShapes(decoder), ...(fgram === undefined ? {} : fgramShapes(fgram)) };
}

/** Variables of a model, all zero. */
export function allocateModel(device: Device, config: ModelConfig): Model {
  const variables = device.variables(modelShapes(config), 'parameters');
  variables.flat.write(new Float32Array(variables.flat.tensor.size));
  return {
    config,
    variables,
    parameters: (name) => variables.get(name).tensor,
    [Symbol.dispose]: () => variables[Symbol.dispose](),
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
  const values = [
    ...initialValues(decoderShapes(decoder), { layers: decoder.layers, seed, scale }),
    ...(fgram === undefined ? [] : identityValues(fgram, { seed, scale })),
  ];
  for (const [name, data] of values) model.variables.get(name).write(data);
  return model;
}
