/** From options to a trained run: the folder, the windows, the training, with progress. */
import type { Progress } from '@sconelm/cli-kit';
import { createModel, type Model, type ModelConfig } from '@sconelm/fgram-model';
import { matchInThreads } from '@sconelm/ngram-miner';
import type { Device } from '@sconelm/tensor-webgpu';
import { type TrainResult, trainModel } from '../trainer.js';
import { Windows } from '../windows.js';
import { type RunInputs, startRun } from './start-run.js';
import { stepsOf, type TrainingConfig } from './training-config.js';

export interface TrainRunOptions {
  readonly directory: string;
  readonly model: ModelConfig;
  readonly training: TrainingConfig;
  readonly inputs: RunInputs;
  /** Names the run in its progress. */
  readonly label: string;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
}

/** The caller disposes the model. @throws {TrainError | ArtifactError} */
export async function trainRun(device: Device, options: TrainRunOptions): Promise<{ model: Model; result: TrainResult }> {
  const { directory, model: config, training, inputs, label, progress, signal } = options;
  const isResumed = await startRun(directory, config, training, inputs);
  const T = config.decoder.contextLength;
  const tokens = await inputs.data.train.load();
  const boundary = inputs.data.tokenizer.endOfText;
  const lengths =
    inputs.fgrams === undefined
      ? new Uint8Array(tokens.length).fill(1)
      : (await matchInThreads(inputs.fgrams.set, tokens, { boundary, ...(signal === undefined ? {} : { signal }) })).lengths;
  const windows = new Windows(tokens, lengths, {
    T,
    seed: training.seed,
    fgramDropout: training.fgramDropout,
    ...(config.fgram?.residualRows === undefined || inputs.fgrams === undefined ? {} : { matcher: inputs.fgrams.set.matcher(boundary) }),
  });
  const steps = stepsOf(training, T);
  const perStep = training.batch * T;
  progress.note(`${isResumed ? 'going on with' : 'training'} ${label}: ${steps} steps of ${perStep} tokens`);
  const model = createModel(device, config, { seed: training.seed, scale: training.initScale });
  try {
    const result = await trainModel(device, model, windows, {
      training,
      directory,
      ...(signal === undefined ? {} : { signal }),
      onProgress: ({ tokens: done, loss, nodes, gain, tokenDeviation }) => {
        const detail = [
          `loss ${loss.toFixed(3)}`,
          ...(nodes > 0 ? [`${(nodes / done).toFixed(2)} forest nodes per token`] : []),
          ...(gain === undefined ? [] : [`gain ${gain.toFixed(2)}`]),
          ...(tokenDeviation === undefined ? [] : [`T’s deviation ${tokenDeviation.toFixed(2)}`]),
        ];
        progress.update(label, { done, total: steps * perStep, unit: 'tokens', detail: detail.join(', ') });
      },
    });
    return { model, result };
  } catch (error) {
    model[Symbol.dispose]();
    throw error;
  }
}
