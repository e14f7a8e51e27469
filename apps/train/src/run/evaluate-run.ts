/** A run against held-out text: loss as in inference, time per decoded token, a sample; kept as evaluation.json. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { CorruptArtifactError, publishBytes, withArtifactErrors } from '@sconelm/artifact';
import type { Progress } from '@sconelm/cli-kit';
import { evaluate, type Model, runPaths } from '@sconelm/fgram-model';
import type { Dataset, FgramSet } from '@sconelm/ngram-miner';
import type { RowStore } from '@sconelm/offload-store';
import type { Device } from '@sconelm/tensor-webgpu';
import { TrainError } from '../errors.js';
import { readMetrics } from './metrics.js';
import { writeSample } from './sample.js';
import { type RunEvaluation, runEvaluationSchema, summarize } from './summary.js';

export interface EvaluateRunOptions {
  readonly directory: string;
  readonly model: Model;
  readonly data: Dataset;
  /** Groups positions by match length; needed with `rows`. */
  readonly set?: FgramSet;
  /** Where matched positions' embeddings come from; absent for a plain decoder. */
  readonly rows?: RowStore | 'model';
  /** The sample goes on from it. */
  readonly prompt: string;
  readonly seed: number;
  readonly label: string;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
}

/** @throws {TrainError} TRAIN_DATA_SHORT; {StoreError} */
export async function evaluateRun(device: Device, options: EvaluateRunOptions): Promise<RunEvaluation> {
  const { directory, model, data, set, rows, prompt, seed, label, progress, signal } = options;
  const tokens = await data.heldout.load();
  const { contextLength } = model.config.decoder;
  if (tokens.length <= contextLength) {
    throw new TrainError(
      'TRAIN_DATA_SHORT',
      `the held-out text has ${tokens.length} tokens, fewer than one window of ${contextLength} and its targets`,
      'Prepare more held-out text.',
    );
  }
  const boundary = data.tokenizer.endOfText;
  const evaluation = await evaluate(device, model, tokens, {
    ...(set === undefined ? {} : { matcher: set.matcher(boundary) }),
    ...(rows === undefined ? {} : { rows }),
    ...(signal === undefined ? {} : { signal }),
    onProgress: (done, total) => progress.update(`evaluating ${label}`, { done, total, unit: 'tokens' }),
  });
  const store = typeof rows === 'object' ? rows : undefined;
  progress.note(`generating a sample with ${label}`);
  const { tokens: sample, msPerToken } = await writeSample(device, {
    ...{ model, tokenizer: data.tokenizer, prompt, seed },
    ...(set === undefined || rows === undefined ? {} : { fgrams: { set, ...(store === undefined ? {} : { rows: store }) } }),
    ...(signal === undefined ? {} : { signal }),
  });
  const last = (await readMetrics(runPaths(directory).metrics)).at(-1);
  if (last === undefined) throw new TrainError('TRAIN_STATE', `${directory} has no training steps`, 'Train the run first.');
  const result: RunEvaluation = {
    ...summarize({
      config: model.config,
      evaluation,
      bytesPerToken: data.heldout.bytes / tokens.length,
      trainingTokens: last.tokens,
      nodes: last.nodes,
      msPerToken,
    }),
    tokens: evaluation.tokens,
    through: rows === undefined ? 'tokens' : rows === 'model' ? 'model' : 'store',
    ...(store === undefined ? {} : { store: { rows: store.rows, rowBytes: store.rowBytes, dtype: store.dtype } }),
    byLength: Object.fromEntries(Object.entries(evaluation.byLength)),
    sample: [...sample],
  };
  await publishBytes(runPaths(directory).evaluation, `${JSON.stringify(result, null, 2)}\n`);
  return result;
}

/** What `evaluateRun` left in a run; undefined if it was not evaluated. @throws {ArtifactError} corrupt */
export async function readRunEvaluation(directory: string): Promise<RunEvaluation | undefined> {
  const file = runPaths(directory).evaluation;
  if (!existsSync(file)) return undefined;
  const text = await withArtifactErrors(file, () => readFile(file, 'utf8'));
  try {
    return runEvaluationSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new CorruptArtifactError(`${file} is not an evaluation`, 'Evaluate the run again.', cause);
  }
}
