/** A run's folder is made complete before its first step: the same command goes on with it, a command with other options is refused. */
import { existsSync } from 'node:fs';
import { cp, readFile } from 'node:fs/promises';
import path from 'node:path';
import { publishBytes, publishDirectory, withArtifactErrors } from '@sconelm/artifact';
import { type ModelConfig, type RunManifest, readRunManifest, runPaths, writeRunManifest } from '@sconelm/fgram-model';
import type { Dataset, FgramSet } from '@sconelm/ngram-miner';
import { TrainError } from '../errors.js';
import { type TrainingConfig, trainingSchema } from './training-config.js';

export interface RunInputs {
  readonly data: Dataset;
  /** Where the dataset was opened. */
  readonly dataDirectory: string;
  /** Absent for a plain decoder. */
  readonly fgrams?: { readonly set: FgramSet; readonly directory: string };
}

/** @returns whether the run was there already @throws {TrainError} RUN_DIFFERS, TRAIN_DATA */
export async function startRun(directory: string, model: ModelConfig, training: TrainingConfig, inputs: RunInputs): Promise<boolean> {
  const { data, dataDirectory, fgrams } = inputs;
  if (fgrams !== undefined && fgrams.set.vocabSize !== data.tokenizer.vocabSize) {
    throw new TrainError(
      'TRAIN_DATA',
      `${fgrams.directory} was mined from ${fgrams.set.vocabSize} tokens, ${dataDirectory} has ${data.tokenizer.vocabSize}`,
      'Mine the f-grams of this dataset.',
    );
  }
  const manifest: RunManifest = {
    model,
    tokenizer: data.tokenizerHash,
    ...(fgrams === undefined ? {} : { fgrams: fgrams.set.hash }),
    training: { ...training },
  };
  const paths = runPaths(directory);
  if (existsSync(paths.config)) {
    const found = await readRunManifest(directory);
    // A run of before an option was there has its default.
    const difference = differenceOf({ ...found, training: trainingSchema.parse(found.training) }, manifest);
    if (difference === undefined) return true;
    throw new TrainError(
      'RUN_DIFFERS',
      `${directory} is a run with ${difference}`,
      'Give the same options to go on with it, or another --directory.',
    );
  }
  if (fgrams !== undefined) {
    await publishDirectory(paths.fgrams, (aside) => withArtifactErrors(aside, () => cp(fgrams.directory, aside, { recursive: true })));
  }
  const tokenizer = path.join(dataDirectory, 'tokenizer.json');
  await publishBytes(paths.tokenizer, await withArtifactErrors(tokenizer, () => readFile(tokenizer)));
  await writeRunManifest(directory, manifest);
  return false;
}

/** The first field that differs, as text. */
function differenceOf(found: unknown, wanted: unknown, name = ''): string | undefined {
  if (typeof found !== 'object' || found === null || typeof wanted !== 'object' || wanted === null) {
    return found === wanted ? undefined : `${name} ${JSON.stringify(found) ?? 'absent'}, not ${JSON.stringify(wanted) ?? 'absent'}`;
  }
  for (const key of Object.keys({ ...found, ...wanted })) {
    const difference = differenceOf(Reflect.get(found, key), Reflect.get(wanted, key), name === '' ? key : `${name}.${key}`);
    if (difference !== undefined) return difference;
  }
  return undefined;
}
