/** What is computed without sharing is what the forest computes. */
import { createModel, type ModelConfig } from '@sconelm/fgram-model';
import { openDevice } from '@sconelm/tensor-webgpu';
import { expect, it } from 'vitest';
import { trainingSchema } from '../run/training-config.js';
import { Optimizers } from '../training/optimizers.js';
import { type ForestBuilder, TrainingStep } from '../training/step.js';
import { separateForest } from './separate-forest.js';

it('steps over f-grams alone, and padded, are steps over their forest', async () => {
  const decoder = { vocabSize: 16, contextLength: 8, layers: 1, width: 16, heads: 2 };
  const config: ModelConfig = { decoder, fgram: { maxLength: 3, layers: 1, width: 16, heads: 2, unit: 0.03, finalNorm: false } };
  const tokens = Int32Array.from({ length: 16 }, (_, i) => (i * i) % 5);
  const batch = {
    ...{ tokens, targets: tokens.map((token) => token + 1), ids: new Int32Array(16).fill(-1) },
    lengths: Uint8Array.from(tokens, (_, i) => 1 + (i % 3)),
  };
  using device = await openDevice();
  const forests: (ForestBuilder | undefined)[] = [
    undefined,
    separateForest,
    (given, lengths, T, K) => separateForest(given, lengths, T, K, { isPadded: true }),
  ];
  const found = [];
  for (const forest of forests) {
    using model = createModel(device, config, { seed: 1 });
    const training = trainingSchema.parse({ batch: 2 });
    using optimizers = new Optimizers(device, model, training);
    using step = new TrainingStep(device, model, training, optimizers, forest && { forest });
    const steps = [];
    // The f-gram model begins as nothing: the second step is its first.
    for (const number of [1, 2, 3]) {
      const { report, nodes } = await step.run(batch, { step: number, rate: 0.01, lossScale: 1, lossLimit: Infinity });
      steps.push({ ...(await report), nodes });
    }
    found.push(steps);
  }
  const [shared, alone, padded] = found;
  for (const [i, { loss, norm }] of shared.entries()) {
    for (const other of [alone[i], padded[i]]) {
      expect(other.loss).toBeCloseTo(loss, 5);
      expect(other.norm).toBeCloseTo(norm, 4);
    }
  }
  expect(shared[0].nodes).toBeLessThan(alone[0].nodes);
  expect(padded[0].nodes).toBeGreaterThan(alone[0].nodes);
});
