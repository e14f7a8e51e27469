/** What a checkpoint holds besides parameters and moments, so that a resumed run goes on with the bits of one that was not interrupted. */
import path from 'node:path';
import { readManifest, writeManifest } from '@sconelm/artifact';
import { loadCheckpoint, saveCheckpoint } from '@sconelm/decoder';
import { checkpointFolder, type HostTable, listCheckpoints, publishCheckpoint } from '@sconelm/fgram-model';
import type { Variable } from '@sconelm/tensor-webgpu';
import { z } from 'zod';
import { placeSchema } from './place.js';

/** JSON has no NaN and no Infinity: null stands for any number that is not finite. */
const number = z
  .number()
  .nullable()
  .transform((value) => value ?? NaN);
const reports = z.array(z.strictObject({ loss: number, norm: number }));

const form = {
  kind: 'scone-training-state',
  version: 3,
  schema: z.strictObject({
    step: z.int().nonnegative(),
    seconds: z.number(),
    /** Forest nodes computed so far. */
    nodes: z.int(),
    /** Reports since the last line of the metrics, of which the host has seen all but the last `unseen`. */
    recent: reports,
    unseen: z.int(),
    /** Running mean of the loss, which tells spikes; null before there is one. */
    smoothLoss: z.number().nullable(),
    lossScale: z.strictObject({ scale: z.number(), good: z.int() }),
    /** Steps left out so far, and at the end of what was seen. */
    skipped: z.int(),
    skippedInRow: z.int(),
    /** The least held-out loss of an evaluation. */
    best: z.strictObject({ step: z.int(), loss: z.number() }).nullable(),
    place: placeSchema,
  }),
};

export type TrainingState = z.output<typeof form.schema>;

export interface Saved {
  readonly variables: readonly (Variable | HostTable)[];
  readonly moments: readonly (Variable | HostTable)[];
}

export async function saveState(
  directory: string,
  { variables, moments }: Saved,
  state: TrainingState,
  keep: { readonly last: number },
): Promise<void> {
  await publishCheckpoint(
    directory,
    state.step,
    async (aside) => {
      await saveCheckpoint(path.join(aside, 'model.safetensors'), variables);
      await saveCheckpoint(path.join(aside, 'optimizer.safetensors'), moments);
      await writeManifest(path.join(aside, 'state.json'), { kind: form.kind, version: form.version, ...state });
    },
    { ...keep, ...(state.best === null ? {} : { best: state.best.step }) },
  );
}

/** Loads the newest checkpoint; undefined where there is none. @throws {ArtifactError | DecoderError} corrupt, or of another model */
export async function loadState(directory: string, { variables, moments }: Saved): Promise<TrainingState | undefined> {
  const step = (await listCheckpoints(directory)).at(-1);
  if (step === undefined) return undefined;
  const folder = checkpointFolder(directory, step);
  const state = await readManifest(path.join(folder, 'state.json'), form);
  await loadCheckpoint(path.join(folder, 'model.safetensors'), variables);
  await loadCheckpoint(path.join(folder, 'optimizer.safetensors'), moments);
  return state;
}
