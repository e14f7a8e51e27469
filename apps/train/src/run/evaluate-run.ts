/** A run against held-out text: loss as in inference, time per decoded token, a sample; kept as evaluation.json. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { CorruptArtifactError, publishBytes, withArtifactErrors } from '@sconelm/artifact';
import type { Progress } from '@sconelm/cli-kit';
import { type EvaluationWindow, evaluate, type Model, runPaths, stridedWindows } from '@sconelm/fgram-model';
import type { Dataset, FgramSet } from '@sconelm/ngram-miner';
import type { RowStore } from '@sconelm/offload-store';
import type { Device } from '@sconelm/tensor-webgpu';
import { TrainError } from '../errors.js';
import { bandOf } from './count-bands.js';
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
  /** Windows that move by so much, in each document alone; without it whole windows side by side. */
  readonly stride?: number;
  /** The sample goes on from it. */
  readonly prompt: string;
  readonly seed: number;
  readonly label: string;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
}

/** @throws {TrainError} TRAIN_DATA_SHORT; {StoreError} */
export async function evaluateRun(device: Device, options: EvaluateRunOptions): Promise<RunEvaluation> {
  const { directory, model, data, set, rows, stride, prompt, seed, label, progress, signal } = options;
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
  const byCount: Record<string, { count: number; loss: number }> = {};
  const documents = stride === undefined ? undefined : new Documents(tokens, boundary);
  const evaluation = await evaluate(device, model, tokens, {
    ...(documents === undefined || stride === undefined ? {} : { windows: documents.windows(contextLength, stride) }),
    visit: ({ position, id, loss }) => {
      documents?.add(position, loss);
      const band = bandOf(id < 0 ? undefined : set?.countOf(id));
      byCount[band] ??= { count: 0, loss: 0 };
      byCount[band].count++;
      byCount[band].loss += loss;
    },
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
    ...(set === undefined ? {} : { byCount }),
    ...(documents === undefined || stride === undefined ? {} : { stride, documents: documents.results(data.tokenizer) }),
    sample: [...sample],
  };
  await publishBytes(runPaths(directory).evaluation, `${JSON.stringify(result, null, 2)}\n`);
  return result;
}

/** Losses of a text's documents; each begins with the token that opens one. */
class Documents {
  readonly #tokens: ArrayLike<number>;
  readonly #starts: number[];
  readonly #sums: { tokens: number; loss: number }[];

  constructor(tokens: ArrayLike<number>, boundary: number) {
    this.#tokens = tokens;
    const opening = Array.from({ length: tokens.length }, (_, i) => i).filter((i) => tokens[i] === boundary);
    this.#starts = opening[0] === 0 ? opening : [0, ...opening];
    this.#sums = this.#starts.map(() => ({ tokens: 0, loss: 0 }));
  }

  #end(document: number): number {
    return this.#starts[document + 1] ?? this.#tokens.length;
  }

  windows(T: number, stride: number): EvaluationWindow[] {
    return this.#starts.flatMap((start, i) => stridedWindows(this.#end(i) - start, { T, stride, start }));
  }

  /** @param position in the order of the text */
  add(position: number, loss: number): void {
    let [low, high] = [0, this.#starts.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#starts[middle] <= position) low = middle;
      else high = middle - 1;
    }
    this.#sums[low].tokens++;
    this.#sums[low].loss += loss;
  }

  results(tokenizer: Dataset['tokenizer']): { tokens: number; loss: number; bitsPerByte: number }[] {
    return this.#sums.flatMap(({ tokens, loss }, i) => {
      if (tokens === 0) return [];
      const text = tokenizer.decode(Array.from({ length: tokens }, (_, t) => this.#tokens[this.#starts[i] + 1 + t]));
      return [{ tokens, loss: loss / tokens, bitsPerByte: loss / Math.LN2 / Math.max(1, Buffer.byteLength(text)) }];
    });
  }
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
