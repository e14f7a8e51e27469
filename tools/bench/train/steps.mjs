/** Training steps as the trainer takes them: a plain decoder, SCONE, residual rows, in turn, round by round; and how long the device waits for its inputs. */
import { batchForest, createModel } from '@sconelm/fgram-model';
import { trainingFlops } from '../../../apps/train/dist/run/summary.js';
import { Optimizers } from '../../../apps/train/dist/training/optimizers.js';
import { TrainingStep } from '../../../apps/train/dist/training/step.js';

/** @typedef {import('@sconelm/tensor-webgpu').Device} Device */
/** @typedef {Awaited<ReturnType<typeof import('./inputs.mjs').inputsOf>>} Inputs */

/** As the trainer has them. */
const IN_FLIGHT = 2;
export const median = (/** @type {readonly number[]} */ xs) => [...xs].sort((a, b) => a - b)[xs.length >> 1];

/** @param {number} steps @param {TrainingStep} step @param {(i: number) => import('../../../apps/train/dist/windows.js').WindowBatch} batchOf @returns {Promise<{ ms: number, nodes: number }>} per step */
async function timeSteps(steps, step, batchOf) {
  const started = performance.now();
  /** @type {Promise<unknown>[]} */
  const pending = [];
  let nodes = 0;
  for (let i = 0; i < steps; i++) {
    const run = await step.run(batchOf(i), { step: i + 1, rate: 1e-4, lossScale: 1, lossLimit: Infinity });
    nodes += run.nodes;
    pending.push(run.report);
    while (pending.length > IN_FLIGHT) await pending.shift();
  }
  await Promise.all(pending);
  return { ms: (performance.now() - started) / steps, nodes: nodes / steps };
}

/**
 * @param {Device} device @param {Inputs} inputs @param {number} rounds
 * @returns per form: ms of a step; its FLOPs; against what FLOPs say from the plain decoder's step; and the share of a step that making inputs costs
 */
export async function measureSteps(device, inputs, rounds) {
  const { decoder, fgram, training, set, steps } = inputs;
  const residual = { decoder, fgram: { ...fgram, residualRows: set.size } };
  const variants = /** @type {const} */ ([
    ['baseline', { decoder }, 'device'],
    ['scone', { decoder, fgram }, 'device'],
    ['residual', residual, 'device'],
    ['residual-host', residual, 'host'],
  ]);
  const positions = training.batch * decoder.contextLength;
  const forms = variants.map(([name, config, rows]) => {
    const model = createModel(device, config, { seed: 1, rows });
    const windows = inputs.windows();
    const batches = Array.from({ length: steps }, (_, i) => windows.batch(i, training.batch));
    /** Of the batches that are there. */
    const forests = new Map(
      batches.map(({ tokens, lengths, ids }) => {
        const T = decoder.contextLength;
        return [tokens, batchForest(tokens, lengths, T, fgram.maxLength, { ids })];
      }),
    );
    /** @type {typeof batchForest} */
    const forest = (tokens, ...rest) => forests.get(/** @type {Int32Array<ArrayBuffer>} */ (tokens)) ?? batchForest(tokens, ...rest);
    const optimizers = new Optimizers(device, model, training);
    return {
      name,
      config,
      model,
      optimizers,
      step: new TrainingStep(device, model, training, optimizers, { forest }),
      /** The trainer's way: windows and forests are made as they are needed. */
      whole: { batchOf: (/** @type {number} */ i) => windows.batch(i, training.batch), ms: /** @type {number[]} */ ([]) },
      /** What the device takes: the same steps on inputs that are there. */
      ready: { batchOf: (/** @type {number} */ i) => batches[i], ms: /** @type {number[]} */ ([]) },
      nodes: 0,
    };
  });
  for (let round = 0; round <= rounds; round++) {
    for (const form of round % 2 === 0 ? forms : [...forms].reverse()) {
      for (const way of [form.whole, form.ready]) {
        const { ms, nodes } = await timeSteps(steps, form.step, way.batchOf);
        form.nodes = nodes;
        if (round > 0) way.ms.push(ms); // the first compiles
      }
    }
  }
  const flopsOf = (/** @type {typeof forms[number]} */ { config, nodes }) => trainingFlops(config, { tokens: positions, nodes });
  const [baseline] = forms;
  const found = forms.map((form) => ({
    form: form.name,
    tokens: positions,
    stepMs: median(form.whole.ms),
    flops: flopsOf(form),
    // Rounds are compared in pairs, so that what the machine does meanwhile falls on both.
    overFlops: median(form.whole.ms.map((ms, i) => ms / baseline.whole.ms[i])) / (flopsOf(form) / flopsOf(baseline)),
    idle: median(form.whole.ms.map((ms, i) => 1 - form.ready.ms[i] / ms)),
    nodesPerToken: form.nodes / positions,
  }));
  for (const { step, optimizers, model } of forms) for (const owned of [step, optimizers, model]) owned[Symbol.dispose]();
  return found;
}
