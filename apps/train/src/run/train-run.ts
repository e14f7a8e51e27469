/** From options to a trained run: the folder, the windows, the training, with progress, held-out losses and samples on the way. */
import { appendFile } from 'node:fs/promises';
import os from 'node:os';
import process from 'node:process';
import { withArtifactErrors } from '@sconelm/artifact';
import type { Progress } from '@sconelm/cli-kit';
import { createModel, evaluate, listCheckpoints, type Model, type ModelConfig, runPaths } from '@sconelm/fgram-model';
import { TokenReader, type TokenSource } from '@sconelm/ngram-miner';
import type { Device } from '@sconelm/tensor-webgpu';
import { TrainError } from '../errors.js';
import { type TrainResult, trainModel } from '../trainer.js';
import { commitOf, version } from '../version.js';
import { Windows } from '../windows.js';
import { preflight } from './preflight.js';
import { loadPretrained, type Pretrained } from './pretrained.js';
import { writeSample } from './sample.js';
import { type RunInputs, startRun } from './start-run.js';
import type { TrainingConfig } from './training-config.js';

export interface TrainRunOptions {
  readonly directory: string;
  readonly model: ModelConfig;
  readonly training: TrainingConfig;
  readonly inputs: RunInputs;
  /** Names the run in its progress. */
  readonly label: string;
  /** The training of a run that is there may be changed. */
  readonly allowChange?: boolean;
  /** Samples go on from it. */
  readonly prompt?: string;
  /** The decoder to begin with. */
  readonly pretrained?: Pretrained;
  /** Whether everything that comes later is tried before the first step. */
  readonly preflight?: boolean;
  /** What the adapter's matrix products reach, FLOP/s: progress tells the share that training reaches. */
  readonly peak?: number;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
}

/** The caller disposes the model. @throws {TrainError | ArtifactError} */
export async function trainRun(device: Device, options: TrainRunOptions): Promise<{ model: Model; result: TrainResult }> {
  const { directory, model: config, training, inputs, label, allowChange, progress, signal } = options;
  const { isResumed, changes } = await startRun(directory, config, training, inputs, {
    ...(allowChange === undefined ? {} : { allowChange }),
  });
  const onChange = (change: string) => progress.note(`changed: ${change}`);
  changes.forEach(onChange);
  using tokens = new TokenReader(inputs.data.train.corpus);
  const windows = windowsOf(options, tokens);
  progress.note(`${isResumed ? 'going on with' : 'training'} ${label}: ${training.batch * config.decoder.contextLength} tokens per step`);
  await appendLine(runPaths(directory).sessions, {
    ...{ date: new Date().toISOString(), command: process.argv.slice(2).join(' '), adapter: device.info.description },
    ...{ version, commit: await commitOf() },
    ...{ node: process.version, cpu: os.cpus()[0]?.model, cores: os.cpus().length, changes },
  });
  const model = createModel(device, config, { seed: training.seed, scale: training.initScale, rows: training.residualRows });
  try {
    if (options.pretrained !== undefined) await loadPretrained(device, options.pretrained, model);
    const evaluating = await heldoutLoss(device, model, options);
    // Again where it was cut off: it clears away what the first left.
    if (options.preflight === true && (await listCheckpoints(directory)).length === 0) {
      const tried = await preflight(model, {
        directory,
        checkpoints: training.keep + 1,
        ...(evaluating === undefined ? {} : { evaluate: evaluating }),
        sample: () => sampleText(device, model, options),
      });
      progress.note(
        `tried: ${tried.heldoutLoss === undefined ? '' : `held-out loss ${tried.heldoutLoss.toFixed(3)}, `}a sample, a checkpoint of ${(tried.checkpointBytes / 1e6).toFixed(1)} MB read back; ${(tried.freeBytes / 1e9).toFixed(1)} GB are free`,
      );
    }
    const begun = { at: performance.now(), flops: NaN };
    const result = await trainModel(device, model, windows, {
      training,
      directory,
      ...(allowChange === undefined ? {} : { allowChange }),
      onChange,
      ...(signal === undefined ? {} : { signal }),
      ...(training.evaluateEvery === 0 || evaluating === undefined ? {} : { evaluate: evaluating }),
      ...(training.sampleEvery === 0 ? {} : { sample: (step: number) => appendSample(device, model, options, step) }),
      onProgress: ({
        tokens: done,
        share,
        loss,
        rate,
        gradientNorm,
        heldoutLoss: heldout,
        nodes,
        gain,
        hitRate,
        tokenDeviation,
        skipped,
        flops,
      }) => {
        if (Number.isNaN(begun.flops)) Object.assign(begun, { at: performance.now(), flops });
        const speed = (1000 * (flops - begun.flops)) / (performance.now() - begun.at);
        const detail = [
          `loss ${loss.toFixed(3)}`,
          ...(heldout === undefined ? [] : [`held out ${heldout.toFixed(3)}`]),
          `rate ${rate.toExponential(1)}`,
          `gradient ${gradientNorm.toFixed(2)}`,
          ...(hitRate === undefined ? [] : [`${Math.round(100 * hitRate)}% matched`]),
          ...(nodes > 0 ? [`${(nodes / done).toFixed(2)} forest nodes per token`] : []),
          ...(gain === undefined ? [] : [`gain ${gain.toFixed(2)}`]),
          ...(tokenDeviation === undefined ? [] : [`T’s deviation ${tokenDeviation.toFixed(2)}`]),
          ...(speed > 0
            ? [
                `${(speed / 1e9).toFixed(1)} GFLOP/s${options.peak === undefined ? '' : ` (${Math.round((100 * speed) / options.peak)}% of products’ peak)`}`,
              ]
            : []),
          `${Math.ceil(device.bufferBytes / 2 ** 20).toLocaleString('en')} MiB on the device`,
          ...(skipped === 0 ? [] : [`${skipped} steps left out`]),
        ];
        progress.update(label, { done, total: Math.max(done, Math.round(done / share)), unit: 'tokens', detail: detail.join(', ') });
      },
    });
    return { model, result };
  } catch (error) {
    model[Symbol.dispose]();
    throw error;
  }
}

function windowsOf({ model, training, inputs: { data, fgrams } }: TrainRunOptions, tokens: TokenSource): Windows {
  return new Windows(tokens, {
    ...{ T: model.decoder.contextLength, seed: training.seed, fgramDropout: training.fgramDropout },
    ...(fgrams === undefined ? {} : { matcher: fgrams.set.matcher(data.tokenizer.endOfText) }),
  });
}

/** Of the first `evaluateTokens` held-out tokens, f-grams through the f-gram model; undefined where they are fewer than a window. @throws {TrainError} TRAIN_DATA_SHORT: it is asked for */
async function heldoutLoss(device: Device, model: Model, options: TrainRunOptions): Promise<(() => Promise<number>) | undefined> {
  const { training, inputs, signal } = options;
  const tokens = (await inputs.data.heldout.load()).subarray(0, training.evaluateTokens + 1);
  const T = model.config.decoder.contextLength;
  if (tokens.length <= T) {
    if (training.evaluateEvery === 0) return undefined;
    const what = `the held-out text has ${tokens.length} tokens, fewer than one window of ${T} and its targets`;
    throw new TrainError('TRAIN_DATA_SHORT', what, 'Prepare more held-out text, or leave out --evaluate-every.');
  }
  return async () => {
    const matched =
      inputs.fgrams === undefined ? {} : { matcher: inputs.fgrams.set.matcher(inputs.data.tokenizer.endOfText), rows: 'model' as const };
    return (await evaluate(device, model, tokens, { ...matched, ...(signal === undefined ? {} : { signal }) })).loss;
  };
}

/** samples.jsonl: {step, text} a line. */
async function appendSample(device: Device, model: Model, options: TrainRunOptions, step: number): Promise<void> {
  const text = await sampleText(device, model, options);
  options.progress.note(`step ${step}: ${text}`);
  await appendLine(runPaths(options.directory).samples, { step, text });
}

async function sampleText(device: Device, model: Model, options: TrainRunOptions): Promise<string> {
  const { training, inputs, prompt = 'The', signal } = options;
  const { tokens } = await writeSample(device, {
    ...{ model, tokenizer: inputs.data.tokenizer, prompt, seed: training.seed },
    ...(inputs.fgrams === undefined ? {} : { fgrams: { set: inputs.fgrams.set } }),
    ...(signal === undefined ? {} : { signal }),
  });
  return tokens.map((token) => token.text).join('');
}

async function appendLine(file: string, value: unknown): Promise<void> {
  await withArtifactErrors(file, () => appendFile(file, `${JSON.stringify(value)}\n`));
}
