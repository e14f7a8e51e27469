/** A model as the apps see it: a decoder, with or without f-grams, and its variables on a device. */
import { type DecoderConfig, decoderShapes, initialValues, type Parameters } from '@sconelm/decoder';
import { type FgramModelConfig, fgramShapes, identityValues } from '@sconelm/fgram-model';
import type { Device, VariableSet } from '@sconelm/tensor-webgpu';

export interface ModelConfig {
  readonly decoder: DecoderConfig;
  /** Absent for a plain decoder. */
  readonly fgram?: FgramModelConfig;
}

export interface Model {
  readonly config: ModelConfig;
  readonly variables: VariableSet;
  readonly parameters: Parameters;
}

/** Variables of a model, filled with its initial values. @param scale deviation of the initial weights */
export function createModel(
  device: Device,
  config: ModelConfig,
  { seed, scale = 0.1 }: { readonly seed: number; readonly scale?: number },
): Model {
  const decoder = decoderShapes(config.decoder);
  const variables = device.variables({ ...decoder, ...(config.fgram === undefined ? {} : fgramShapes(config.fgram)) }, 'parameters');
  variables.flat.write(new Float32Array(variables.flat.tensor.size));
  const values = [
    ...initialValues(decoder, { layers: config.decoder.layers, seed, scale }),
    ...(config.fgram === undefined ? [] : identityValues(config.fgram, { seed, scale })),
  ];
  for (const [name, data] of values) variables.get(name).write(data);
  return { config, variables, parameters: (name) => variables.get(name).tensor };
}
