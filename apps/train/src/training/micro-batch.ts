/** How many windows of a batch go through the device at a time. */
import type { Model } from '@sconelm/fgram-model';
import type { Device } from '@sconelm/tensor-webgpu';
import { TrainError } from '../errors.js';
import type { TrainingConfig } from '../run/training-config.js';
import type { WindowBatch } from '../windows.js';
import { TrainingStep } from './step.js';

/** Of the adapter's largest buffer, which is where a pass has its values: other batches have larger forests. */
const SHARE = 0.8;

/**
 * The micro-batch that was given, or with `auto` the largest whose pass, as it is planned, fits one buffer of the adapter.
 * @param windows the first batch @param bufferBytes the most that a buffer has @returns undefined: the whole batch @throws {TrainError} TRAIN_OPTION: a single window does not fit
 */
export function settleMicroBatch(
  device: Device,
  model: Model,
  training: TrainingConfig,
  windows: WindowBatch,
  bufferBytes = device.info.maxBufferBytes,
): number | undefined {
  if (training.microBatch !== 'auto') return training.microBatch;
  const limit = SHARE * bufferBytes;
  let least = Infinity;
  for (let parts = 1; parts <= training.batch; parts++) {
    if (training.batch % parts !== 0) continue;
    const microBatch = training.batch / parts;
    using step = new TrainingStep(device, model, training, { microBatch });
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
