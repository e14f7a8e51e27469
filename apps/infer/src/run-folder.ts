/** A trained run as inference needs it: configuration, parameters, tokenizer, f-grams and their store, checked to belong together. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { withArtifactErrors } from '@sconelm/artifact';
import { decoderConfigSchema, decoderShapes, fingerprint, loadCheckpoint } from '@sconelm/decoder';
import { fgramShapes } from '@sconelm/fgram-model';
import { type FgramSet, openDataset, openFgrams, type Tokenizer } from '@sconelm/ngram-miner';
import { openStore, type RowStore } from '@sconelm/offload-store';
import type { Device, VariableSet } from '@sconelm/tensor-webgpu';
import { z } from 'zod';

const modelSchema = z.strictObject({
  decoder: decoderConfigSchema,
  fgram: z.strictObject({ maxLength: z.int(), layers: z.int(), width: z.int(), heads: z.int(), unit: z.number(), finalNorm: z.boolean() }),
});

export class InferError extends Error {
  readonly code: 'RUN_MODEL' | 'PROMPT';
  readonly remedy: string;
  constructor(code: InferError['code'], message: string, remedy: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
    this.remedy = remedy;
  }
}

export interface Run {
  readonly decoder: z.infer<typeof modelSchema>['decoder'];
  readonly variables: VariableSet;
  readonly tokenizer: Tokenizer;
  readonly set: FgramSet;
  readonly store: RowStore;
}

/** @throws the typed error of the part that is missing, damaged or of another run */
export async function openRun(device: Device, directory: string): Promise<Run> {
  const file = path.join(directory, 'model.json');
  const text = await withArtifactErrors(file, () => readFile(file, 'utf8'));
  let model: z.infer<typeof modelSchema>;
  try {
    model = modelSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new InferError('RUN_MODEL', `${file} is no model configuration`, 'Finish or repeat the training run.', cause);
  }
  const variables = device.variables({ ...decoderShapes(model.decoder), ...fgramShapes(model.fgram) });
  await loadCheckpoint(path.join(directory, 'scone/checkpoint/model.safetensors'), variables);
  const { tokenizer } = await openDataset(path.join(directory, 'data'));
  const set = await openFgrams(path.join(directory, 'fgrams'));
  const store = await openStore(`file:${path.join(directory, 'rows')}`, {
    expect: { fgrams: set.hash, model: await fingerprint(variables) },
  });
  return { decoder: model.decoder, variables, tokenizer, set, store };
}
