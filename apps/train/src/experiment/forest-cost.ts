/** Training steps on the same batches with the f-gram model over a forest, and over every f-gram alone: work, time and memory. */
import { batchForest } from '@sconelm/fgram-model';
import { TokenReader } from '@sconelm/ngram-miner';
import type { Device } from '@sconelm/tensor-webgpu';
import { trainingFlops } from '../run/summary.js';
import { trainingSchema } from '../run/training-config.js';
import { Optimizers } from '../training/optimizers.js';
import { type ForestBuilder, TrainingStep } from '../training/step.js';
import { Windows } from '../windows.js';
import { type RunResult, runOptionsSchema } from './grid.js';
import type { ExperimentOptions } from './grid-data.js';
import type { TrainedRun } from './run-experiment.js';
import { separateForest } from './separate-forest.js';

/** Batches, which are also rounds: one step of each form after the other. */
const BATCHES = 24;
/** No step of a measurement learns. */
const SETTINGS = { step: 1, rate: 0, lossScale: 1, lossLimit: Infinity };

const FORMS: readonly (readonly [name: keyof NonNullable<RunResult['forest']>, builder: ForestBuilder])[] = [
  ['forest', batchForest],
  ['alone', separateForest],
  ['padded', (tokens, lengths, T, K) => separateForest(tokens, lengths, T, K, { isPadded: true })],
];

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1];

export async function measureForests(
  device: Device,
  { run, model, inputs }: TrainedRun,
  { progress, signal }: ExperimentOptions,
): Promise<NonNullable<RunResult['forest']>> {
  const training = trainingSchema.strip().parse(runOptionsSchema.parse(run.options));
  const T = model.config.decoder.contextLength;
  using tokens = new TokenReader(inputs.data.train.corpus);
  const matcher = inputs.fgrams.set.matcher(inputs.data.tokenizer.endOfText);
  const windows = new Windows(tokens, { T, seed: training.seed, matcher });
  const batches = Array.from({ length: BATCHES }, (_, i) => windows.batch(i, training.batch));
  using optimizers = new Optimizers(device, model, training);
  const forms = FORMS.map(([name, forest]) => ({
    name,
    step: new TrainingStep(device, model, training, optimizers, { forest }),
    ms: [] as number[],
    ...{ nodes: 0, arenaBytes: 0 },
  }));
  for (const isWarm of [false, true]) {
    for (const [i, batch] of batches.entries()) {
      signal.throwIfAborted();
      progress.update(`${isWarm ? 'timing' : 'compiling'} steps of ${run.id}`, { done: i, total: BATCHES, unit: 'batches' });
      for (const form of forms) {
        const started = performance.now();
        const { report, nodes } = await form.step.run(batch, SETTINGS);
        await report;
        if (isWarm) {
          form.ms.push(performance.now() - started);
          continue;
        }
        form.nodes += nodes;
        form.arenaBytes = Math.max(form.arenaBytes, form.step.report(batch).arenaBytes);
      }
    }
  }
  for (const { step } of forms) step[Symbol.dispose]();
  const positions = BATCHES * training.batch * T;
  return Object.fromEntries(
    forms.map(({ name, nodes, ms, arenaBytes }) => [
      name,
      {
        nodesPerToken: nodes / positions,
        flopsPerToken: trainingFlops(model.config, { tokens: positions, nodes }) / positions,
        stepMs: median(ms),
        arenaBytes,
      },
    ]),
  ) as NonNullable<RunResult['forest']>;
}
