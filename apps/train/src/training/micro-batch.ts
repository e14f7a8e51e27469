/** How many windows of a batch go through the device at a time. */
import type { Model } from '@sconelm/fgram-model';
import type { Device } from '@sconelm/tensor-webgpu';
import { TrainError } from '../errors.js';
import type { TrainingConfig } from '../run/training-config.js';
import type { WindowBatch } from '../windows.js';
import type { Optimizers } from './optimizers.js';
import { TrainingStep } from './step.js';

/** Of the adapter's largest buffer, which is where a pass has its values: other batches have larger forests. */
const SHARE = 0.8;

export interface SettleOptions {
  /** What `auto` gave when the run began: another gives other bits. */
  readonly kept?: number | undefined;
  /** The most that a buffer has; by default the adapter's. */
  readonly bufferBytes?: number;
}

/**
 * The micro-batch that was given, or with `auto` the largest whose pass, as it is planned, fits one buffer of the adapter. Of a pass nothing is
 * allocated but, for the time of planning, the sums of gradients.
 * @param windows the first batch @throws {TrainError} TRAIN_OPTION: a single window does not fit
 */
export function settleMicroBatch(
  device: Device,
  model: Model,
  training: TrainingConfig,
  optimizers: Optimizers,
  windows: WindowBatch,
  { kept, bufferBytes = device.info.maxBufferBytes }: SettleOptions = {},
): number {
  if (training.microBatch !== 'auto') return training.microBatch ?? training.batch;
  // Another batch, where that was allowed, may be no multiple of it.
  if (kept !== undefined && training.batch % kept === 0) return kept;
  const limit = SHARE * bufferBytes;
  let least = Infinity;
  for (let parts = 1; parts <= training.batch; parts++) {
    if (training.batch % parts !== 0) continue;
    const microBatch = training.batch / parts;
    using step = new TrainingStep(device, model, training, optimizers, { microBatch });
    least = step.passBytes(windows);
    if (least <= limit) return microBatch;
  }
  const megabytes = (bytes: number) => `${Math.round(bytes / 1e6).toLocaleString('en')} MB`;
  throw new TrainError(
    'TRAIN_OPTION',
    `a pass over one window takes ${megabytes(least)}, the adapter's largest buffer has ${megabytes(bufferBytes)}`,
    'Give --recompute, a shorter --context-length or a smaller model.',
  );
}
