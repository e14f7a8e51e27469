/**
 * The folder of a training run, all that inference needs: config.json says what the model is and from which tokenizer and f-grams,
 * checkpoints/STEP holds its parameters. Everything appears by rename, so a killed run leaves its last checkpoint whole.
 */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import {
  MissingArtifactError,
  publishDirectory,
  readManifest,
  removeDirectory,
  withArtifactErrors,
  writeManifest,
} from '@sconelm/artifact';
import { decoderShapes, Fingerprint, loadCheckpoint, type WeightFormat, Weights } from '@sconelm/decoder';
import type { Device } from '@sconelm/tensor-webgpu';
import { z } from 'zod';
import { residualShapes } from './config.js';
import { allocateModel, type InferenceModel, type Model, modelConfigSchema, modelShapes } from './scone-model.js';

const form = {
  kind: 'scone-run',
  version: 1,
  schema: z.strictObject({
    model: modelConfigSchema,
    /** sha256 of tokenizer.json. */
    tokenizer: z.string(),
    /** sha256 of the f-gram set; absent for a plain decoder. */
    fgrams: z.string().optional(),
    /** Of an imported model: what opens a text, and any of what ends one; in other runs one token opens every document. */
    tokens: z.strictObject({ begin: z.int().optional(), end: z.array(z.int()) }).optional(),
    /** How it is trained. */
    training: z.record(z.string(), z.json()),
  }),
};

export type RunManifest = z.infer<typeof form.schema>;

/** Files and folders of a run. */
export function runPaths(directory: string) {
  return {
    config: path.join(directory, 'config.json'),
    tokenizer: path.join(directory, 'tokenizer.json'),
    fgrams: path.join(directory, 'fgrams'),
    checkpoints: path.join(directory, 'checkpoints'),
    metrics: path.join(directory, 'metrics.jsonl'),
    events: path.join(directory, 'events.out.tfevents.scone'),
    sessions: path.join(directory, 'sessions.jsonl'),
    samples: path.join(directory, 'samples.jsonl'),
    rows: path.join(directory, 'rows'),
    evaluation: path.join(directory, 'evaluation.json'),
    report: path.join(directory, 'report.html'),
  };
}

export async function writeRunManifest(directory: string, manifest: RunManifest): Promise<void> {
  await writeManifest(runPaths(directory).config, { kind: form.kind, version: form.version, ...manifest });
}

/** @throws {ArtifactError} missing, of another version, or corrupt */
export async function readRunManifest(directory: string): Promise<RunManifest> {
  return readManifest(runPaths(directory).config, form);
}

/** Steps of the whole checkpoints, ascending; none where there is no run. @throws {ArtifactError} ARTIFACT_IO */
export async function listCheckpoints(directory: string): Promise<number[]> {
  const names = await namesIn(runPaths(directory).checkpoints);
  return names
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await withArtifactErrors(directory, () => readdir(directory));
  } catch (error) {
    if (error instanceof MissingArtifactError) return [];
    throw error;
  }
}

export function checkpointFolder(directory: string, step: number): string {
  return path.join(runPaths(directory).checkpoints, String(step).padStart(8, '0'));
}

/** Publishes a checkpoint, then removes all but the newest and the best. @param write fills the folder @param keep how many are kept, and which step besides */
export async function publishCheckpoint(
  directory: string,
  step: number,
  write: (aside: string) => Promise<void>,
  keep: { readonly last: number; readonly best?: number },
): Promise<void> {
  await publishDirectory(checkpointFolder(directory, step), write);
  const steps = await listCheckpoints(directory);
  for (const old of steps.slice(0, -keep.last)) if (old !== keep.best) await removeDirectory(checkpointFolder(directory, old));
}

/** The newest checkpoint's parameters. @throws {ArtifactError} there is none */
async function newestParameters(directory: string): Promise<string> {
  const step = (await listCheckpoints(directory)).at(-1);
  if (step === undefined) throw new MissingArtifactError(runPaths(directory).checkpoints);
  return path.join(checkpointFolder(directory, step), 'model.safetensors');
}

/** The model of a run with the parameters of its newest checkpoint. @throws {ArtifactError | DecoderError} missing, corrupt, or of another model */
export async function openModel(device: Device, directory: string): Promise<Model> {
  const { model: config, training } = await readRunManifest(directory);
  const file = await newestParameters(directory);
  // Residual rows that were too many for the device in training are so afterwards.
  const model = allocateModel(device, config, { rows: training.residualRows === 'host' ? 'host' : 'device' });
  try {
    await loadCheckpoint(file, model.variables);
  } catch (error) {
    model[Symbol.dispose]();
    throw error;
  }
  return model;
}

/**
 * The decoder of a run, its weights in a format of inference. The f-gram model's parameters are read for the fingerprint and not kept.
 * @throws as `openModel`
 */
export async function openDecoder(
  device: Device,
  directory: string,
  format: WeightFormat,
): Promise<InferenceModel & { readonly weights: Weights; readonly fingerprint: string }> {
  const { model: config } = await readRunManifest(directory);
  const file = await newestParameters(directory);
  const shapes = decoderShapes(config.decoder);
  const weights = new Weights(device, shapes, format);
  try {
    const hash = new Fingerprint();
    const all = Object.entries({ ...modelShapes(config), ...(config.fgram === undefined ? {} : residualShapes(config.fgram)) });
    await loadCheckpoint(
      file,
      all.map(([name, { shape }]) => hash.through(name in shapes ? weights.get(name) : { name, shape, write: () => {} })),
    );
    return { config, weights, parameters: weights.parameters, fingerprint: hash.value, [Symbol.dispose]: () => weights[Symbol.dispose]() };
  } catch (error) {
    weights[Symbol.dispose]();
    throw error;
  }
}
