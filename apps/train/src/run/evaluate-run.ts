/** A run against held-out text: loss as in inference, time per decoded token, a sample; kept as evaluation.json. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { CorruptArtifactError, publishBytes, withArtifactErrors } from '@sconelm/artifact';
import type { Progress } from '@sconelm/cli-kit';
import { DecodeSession, Sampler } from '@sconelm/decoder';
import { evaluate, FgramSession, generateTokens, type Model, runPaths } from '@sconelm/fgram-model';
import type { Dataset, FgramSet } from '@sconelm/ngram-miner';
import type { RowStore } from '@sconelm/offload-store';
import type { Device } from '@sconelm/tensor-webgpu';
import { TrainError } from '../errors.js';
import { readMetrics } from './metrics.js';
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

/** Tokens of the sample; also what the time per token is measured on. */
const SAMPLE = 100;

/** @throws {TrainError} TRAIN_DATA_SHORT; {StoreError} */
export async function evaluateRun(device: Device, options: EvaluateRunOptions): Promise<RunEvaluation> {
  const { directory, model, data, set, rows, label, progress, signal } = options;
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
  const { sample, msPerToken } = await writeSample(device, options, store);
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
    sample,
  };
  await publishBytes(runPaths(directory).evaluation, `${JSON.stringify(result, null, 2)}\n`);
  return result;
}

async function writeSample(
  device: Device,
  { model, data: { tokenizer }, set, prompt, seed, label, progress, signal }: EvaluateRunOptions,
  store: RowStore | undefined,
): Promise<{ sample: RunEvaluation['sample']; msPerToken: number }> {
  progress.note(`generating a sample with ${label}`);
  const { decoder } = model.config;
  using session = new DecodeSession(device, decoder, model.parameters);
  const fgrams = set !== undefined && store !== undefined ? { matcher: set.matcher(tokenizer.endOfText), rows: store } : undefined;
  const decoding = new FgramSession(session, fgrams);
  const tokens = [tokenizer.endOfText, ...tokenizer.encode(prompt)].slice(0, decoder.contextLength - 1);
  const times: number[] = [];
  const sampler = new Sampler({ temperature: 0.8, topK: 50, seed });
  for await (const { token, ms } of generateTokens(decoding, tokens, {
    sampler,
    count: SAMPLE,
    ...(signal === undefined ? {} : { signal }),
  })) {
    tokens.push(token);
    times.push(ms);
  }
  times.sort((a, b) => a - b);
  const sample = tokens.slice(1).map((token, i) => ({ text: tokenizer.tokenText(token), length: decoding.lengths[i + 1] ?? 1 }));
  return { sample, msPerToken: times[times.length >> 1] ?? 0 };
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
