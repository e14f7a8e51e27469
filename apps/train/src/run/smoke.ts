/** A run's whole way in three steps, in a folder that is removed: training, checkpoints, held-out loss, sample, rows, page. */
import path from 'node:path';
import { publishBytes, removeDirectory } from '@sconelm/artifact';
import { RowComputer, runPaths } from '@sconelm/fgram-model';
import type { Device } from '@sconelm/tensor-webgpu';
import { TrainError } from '../errors.js';
import { renderReport } from './report.js';
import { type TrainRunOptions, trainRun } from './train-run.js';

const STEPS = 3;
/** Rows that are computed. */
const ROWS = 256;

export interface SmokeResult {
  readonly losses: readonly number[];
  readonly heldoutLoss: number;
  readonly rows: number;
}

/** @throws {TrainError} TRAIN_PREFLIGHT: rows that are no numbers; whatever training throws */
export async function smoke(device: Device, options: TrainRunOptions): Promise<SmokeResult> {
  const { training: given, model: config, inputs } = options;
  const directory = `${options.directory}.smoke`;
  await removeDirectory(directory);
  const { flops: _, minutes: __, ...rest } = given;
  const training = { ...rest, tokens: STEPS * given.batch * config.decoder.contextLength, evaluateEvery: 1, sampleEvery: 2 };
  const { model, result } = await trainRun(device, { ...options, directory, training, preflight: true });
  try {
    const rows = inputs.fgrams === undefined || config.fgram === undefined ? 0 : Math.min(ROWS, inputs.fgrams.set.size);
    if (inputs.fgrams !== undefined && config.fgram !== undefined) {
      using computer = new RowComputer(device, inputs.fgrams.set, model, config.fgram);
      const values = new Float32Array(rows * config.fgram.width);
      await computer.compute(
        Uint32Array.from({ length: rows }, (_unused, id) => id),
        values,
      );
      if (!values.every(Number.isFinite))
        throw new TrainError('TRAIN_PREFLIGHT', 'rows hold values that are no numbers', 'Lower the learning rate.');
    }
    const page = renderReport({ title: 'three steps', lead: [], runs: [{ label: path.basename(directory), metrics: result.metrics }] });
    await publishBytes(runPaths(directory).report, page);
    const { metrics } = result;
    return { losses: metrics.map(({ loss }) => loss), heldoutLoss: metrics[metrics.length - 1].heldoutLoss ?? NaN, rows };
  } finally {
    model[Symbol.dispose]();
    await removeDirectory(directory);
  }
}
