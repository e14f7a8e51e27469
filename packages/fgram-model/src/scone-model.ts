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
import { HostTable } from './host-table.js';

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
  /** R [residualRows, d], of which a step changes the rows that it touches; absent in a model without. In host memory it is no parameter of programs. */
  readonly residual?: Variable | HostTable;
}

/** The residual rows, where they are in host memory. */
export function hostRowsOf({ residual }: { readonly residual?: Variable | HostTable | undefined }): HostTable | undefined {
  return residual instanceof HostTable ? residual : undefined;
}

/** A model as it is trained. */
export interface Model extends InferenceModel {
  /** Everything that is trained, in the order of a checkpoint: `dense`, then the residual rows. */
  readonly variables: readonly (Variable | HostTable)[];
  /** What every step changes: the decoder's and the f-gram model's parameters. */
  readonly dense: VariableSet;
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

/** Where residual rows are: a variable, or a table in host memory. */
export type RowPlace = 'device' | 'host';

/** Variables of a model, all zero. */
export function allocateModel(device: Device, config: ModelConfig, { rows: place = 'device' }: { readonly rows?: RowPlace } = {}): Model {
  const dense = device.variables(modelShapes(config), 'parameters');
  const rows = config.fgram === undefined ? {} : residualShapes(config.fgram);
  const sets = [dense, ...(RESIDUAL in rows && place === 'device' ? [device.variables(rows, 'residual rows')] : [])];
  for (const { flat } of sets) flat.write(new Float32Array(flat.tensor.size));
  const onDevice = sets.flatMap((set) => [...set]);
  const byName = new Map(onDevice.map((variable) => [variable.name, variable]));
  const residual = RESIDUAL in rows && place === 'host' ? new HostTable(RESIDUAL, rows[RESIDUAL].shape) : byName.get(RESIDUAL);
  return {
    config,
    variables: residual === undefined ? [...dense] : [...dense, residual],
    dense,
    ...(residual === undefined ? {} : { residual }),
    parameters: (name) => (byName.get(name) ?? dense.get(name)).tensor,
    [Symbol.dispose]: () => {
      for (const set of sets) set[Symbol.dispose]();
    },
  };
}

/** A model with its initial values. @param options where residual rows are; the deviation of the initial weights, about 1/√width (0.02 is right from width 512 on) */
export function createModel(
  device: Device,
  config: ModelConfig,
  { seed, scale = 0.1, rows }: { readonly seed: number; readonly scale?: number; readonly rows?: RowPlace | undefined },
): Model {
  const model = allocateModel(device, config, rows && { rows });
  const { decoder, fgram } = config;
  const values = initialValues(decoderShapes(decoder), { layers: decoder.layers, seed, scale });
  const tokenTable = values.get('tok.weight');
  if (tokenTable === undefined) throw new Error('unreachable: a decoder has a token table');
  if (fgram !== undefined) for (const [name, data] of identityValues(fgram, { seed, scale, tokenTable })) values.set(name, data);
  for (const variable of model.variables) variable.write(values.get(variable.name) ?? new Float32Array());
  return model;
}
