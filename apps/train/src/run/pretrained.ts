/** A decoder that is there already: a folder in Hugging Face's form, or a name on the hub, trained further or with an f-gram model beside it. */
import { type DecoderConfig, loadModelFolder, modelDirectory, openModelFolder } from '@sconelm/decoder';
import { allocateModel, type Model } from '@sconelm/fgram-model';
import type { Device } from '@sconelm/tensor-webgpu';
import { TrainError } from '../errors.js';

export interface Pretrained {
  readonly directory: string;
  readonly config: DecoderConfig;
  /** A third of the token table's deviation: the unit of an f-gram model on it. */
  readonly unit: number;
}

/** @param vocabSize of the data @throws {TrainError} TRAIN_DATA: tokens of another vocabulary; {DecoderError} */
export async function openPretrained(device: Device, name: string, vocabSize: number): Promise<Pretrained> {
  const directory = await modelDirectory(name);
  const { config } = await openModelFolder(directory);
  if (config.vocabSize < vocabSize)
    throw new TrainError(
      'TRAIN_DATA',
      `${name} has ${config.vocabSize} tokens, the data ${vocabSize}`,
      'Prepare the data with the tokenizer.json of this model.',
    );
  using decoder = allocateModel(device, { decoder: config });
  await loadModelFolder(device, directory, decoder.dense);
  return { directory, config, unit: deviation(await decoder.dense.get('tok.weight').read()) / 3 };
}

/** Puts the pretrained decoder in the place of a model's initial one; the f-gram model goes on reading its token table. */
export async function loadPretrained(device: Device, { directory }: Pretrained, { dense, config }: Model): Promise<void> {
  await loadModelFolder(device, directory, dense);
  if (config.fgram?.ownTable) dense.get('fgram.tok.weight').write(await dense.get('tok.weight').read());
}

export function deviation(values: ArrayLike<number>): number {
  let sum = 0;
  let squares = 0;
  for (let i = 0; i < values.length; i++) {
    sum += values[i];
    squares += values[i] ** 2;
  }
  const mean = sum / values.length;
  return Math.sqrt(squares / values.length - mean ** 2);
}
