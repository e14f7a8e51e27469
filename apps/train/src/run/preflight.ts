/** Everything that a run does later is tried before its first step: a run of days does not fail where its first checkpoint or sample would have. */
import { statfs } from 'node:fs/promises';
import path from 'node:path';
import { removeDirectory, withArtifactErrors } from '@sconelm/artifact';
import { readCheckpoint, saveCheckpoint } from '@sconelm/decoder';
import type { Model } from '@sconelm/fgram-model';
import { TrainError } from '../errors.js';

export interface PreflightOptions {
  /** The run's folder. */
  readonly directory: string;
  /** Checkpoints that are kept, newest and best. */
  readonly checkpoints: number;
  /** Absent where there is too little held-out text. */
  readonly evaluate?: () => Promise<number>;
  /** Gives the text that a model writes. */
  readonly sample: () => Promise<string>;
}

export interface Preflight {
  readonly heldoutLoss: number | undefined;
  readonly sample: string;
  /** Of a checkpoint with the optimiser's state. */
  readonly checkpointBytes: number;
  readonly freeBytes: number;
}

/** @throws {TrainError} TRAIN_PREFLIGHT; whatever evaluating, sampling and checkpoints throw */
export async function preflight(model: Model, { directory, checkpoints, evaluate, sample }: PreflightOptions): Promise<Preflight> {
  const heldoutLoss = await evaluate?.();
  if (heldoutLoss !== undefined && !Number.isFinite(heldoutLoss))
    fail(`the held-out loss is ${heldoutLoss} before the first step`, 'Lower --init-scale.');
  const text = await sample();
  const folder = path.join(directory, 'preflight');
  const file = path.join(folder, 'model.safetensors');
  await saveCheckpoint(file, model.variables);
  const stored = await readCheckpoint(file);
  let bytes = 0;
  for (const variable of model.variables) {
    const [before, after] = [await variable.read(), stored.get(variable.name)?.data];
    bytes += before.byteLength;
    if (after === undefined || !sameBits(before, after))
      fail(`${file}: '${variable.name}' reads back as something else than was written`, 'Check this disk.');
  }
  await removeDirectory(folder);
  // Parameters and two moments; one more while the next is written.
  const checkpointBytes = 3 * bytes;
  const { bavail, bsize } = await withArtifactErrors(directory, () => statfs(directory));
  const freeBytes = bavail * bsize;
  const needed = checkpointBytes * (checkpoints + 2);
  if (freeBytes < needed) {
    const megabytes = (count: number) => `${Math.ceil(count / 1e6).toLocaleString('en')} MB`;
    fail(
      `${directory} has ${megabytes(freeBytes)} free; ${checkpoints + 2} checkpoints take ${megabytes(needed)}`,
      'Free some space, or keep fewer with --keep.',
    );
  }
  return { heldoutLoss, sample: text, checkpointBytes, freeBytes };
}

function fail(what: string, remedy: string): never {
  throw new TrainError('TRAIN_PREFLIGHT', what, remedy);
}

function sameBits(a: ArrayBufferView, b: ArrayBufferView): boolean {
  const [x, y] = [a, b].map((view) => Buffer.from(view.buffer, view.byteOffset, view.byteLength));
  return x.equals(y);
}
