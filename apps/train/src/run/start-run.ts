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

export interface RunStart {
  readonly isResumed: boolean;
  /** Fields of the training that were changed, as text. */
  readonly changes: readonly string[];
}

/** @param allowChange the training of a run that is there may be changed @throws {TrainError} RUN_DIFFERS, TRAIN_DATA */
export async function startRun(
  directory: string,
  model: ModelConfig,
  training: TrainingConfig,
  inputs: RunInputs,
  { allowChange = false } = {},
): Promise<RunStart> {
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
    training: Object.fromEntries(Object.entries(training).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]]))),
  };
  const paths = runPaths(directory);
  if (existsSync(paths.config)) {
    const found = await readRunManifest(directory);
    // A run of before an option was there has its default.
    const known = trainingSchema.safeParse(found.training);
    const { training: before, ...rest } = { ...found, training: known.success ? known.data : found.training };
    const fixed = differences(rest, { ...manifest, training: undefined });
    const changes = differences({ training: before }, { training: manifest.training });
    if (fixed.length === 0 && changes.length === 0) return { isResumed: true, changes };
    if (fixed.length === 0 && allowChange) {
      await writeRunManifest(directory, manifest);
      return { isResumed: true, changes };
    }
    throw new TrainError(
      'RUN_DIFFERS',
      `${directory} is a run with ${[...fixed, ...changes].join('; ')}`,
      fixed.length > 0
        ? 'Give the same options to go on with it, or another --directory.'
        : 'Give the same options to go on with it, --allow-change to go on with these, or another --directory.',
    );
  }
  if (fgrams !== undefined) {
    await publishDirectory(paths.fgrams, (aside) => withArtifactErrors(aside, () => cp(fgrams.directory, aside, { recursive: true })));
  }
  const tokenizer = path.join(dataDirectory, 'tokenizer.json');
  await publishBytes(paths.tokenizer, await withArtifactErrors(tokenizer, () => readFile(tokenizer)));
  await writeRunManifest(directory, manifest);
  return { isResumed: false, changes: [] };
}

/** The fields that differ, as text. */
function differences(found: unknown, wanted: unknown, name = ''): string[] {
  if (typeof found !== 'object' || found === null || typeof wanted !== 'object' || wanted === null) {
    return found === wanted ? [] : [`${name} ${JSON.stringify(found) ?? 'absent'}, not ${JSON.stringify(wanted) ?? 'absent'}`];
  }
  return Object.keys({ ...found, ...wanted }).flatMap((key) =>
    differences(Reflect.get(found, key), Reflect.get(wanted, key), name === '' ? key : `${name}.${key}`),
  );
}
