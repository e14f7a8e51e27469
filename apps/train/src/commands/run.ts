/** `scone-train run`: a dataset and its f-grams to a trained model. */
import path from 'node:path';
import { defineCommand } from '@sconelm/cli-kit';
import { formatCost, modelCost, modelDirectory, openModelFolder, presetOf } from '@sconelm/decoder';
import { fgramShapes, residualShapes } from '@sconelm/fgram-model';
import { openDataset, openFgrams } from '@sconelm/ngram-miner';
import { openDevice } from '@sconelm/tensor-webgpu';
import { z } from 'zod';
import { modelOf } from '../run/model-config.js';
import { measurePeak } from '../run/peak.js';
import { openPretrained } from '../run/pretrained.js';
import { smoke } from '../run/smoke.js';
import { trainRun } from '../run/train-run.js';
import { DEFAULT_TOKENS, modelFields, trainingSchema } from '../run/training-config.js';

/** What a run is given; `scone-train config` prints it. */
export const runShape = {
  data: z.string().default('data').describe('a prepared dataset'),
  fgrams: z.string().default('fgrams').describe('its f-grams'),
  directory: z.string().default('runs/scone').describe('the run’s folder'),
  ...modelFields,
  dryRun: z.boolean().default(false).describe('say what the model costs, and train nothing'),
  smoke: z.boolean().default(false).describe('three steps the whole way, in a folder that is removed'),
  preflight: z.boolean().default(true).describe('try evaluation, sample, checkpoint and disk before the first step'),
  allowChange: z.boolean().default(false).describe('go on with a run whose training had other options'),
  prompt: z.string().default('The').describe('samples go on from it'),
  ...trainingSchema.shape,
};

export const runCommand = defineCommand({
  name: 'run',
  summary: 'train a decoder together with an f-gram model, or alone',
  examples: [
    'scone-train run --data data --fgrams fgrams --directory runs/scone --tokens 2000000',
    'scone-train run --data data --plain --directory runs/baseline --tokens 2000000',
    'scone-train run --config large.json --set learningRate=0.003',
    'scone-train run --from HF_DIR --freeze-main --directory runs/retrofit',
    'scone-train run --preset scone-webtext-128M --fgrams fgrams --dry-run',
  ],
  config: z.strictObject(runShape),
  run: async ({ config, progress, signal, output }) => {
    const { data: dataDirectory, fgrams, directory, preset } = config;
    if (preset !== undefined) presetOf(preset); // before any file is looked for
    const data = await openDataset(dataDirectory);
    const set = config.plain ? undefined : await openFgrams(fgrams);
    const { vocabSize } = data.tokenizer;
    if (config.dryRun) {
      const known = config.from === undefined ? undefined : { ...(await openModelFolder(await modelDirectory(config.from))), unit: 1 };
      const model = modelOf(config, vocabSize, set, known);
      const { decoder, fgram } = model;
      const cost = modelCost({
        decoder,
        tokens: config.tokens ?? (config.flops === undefined && config.minutes === undefined ? DEFAULT_TOKENS : 0),
        ...(fgram && { fgram: { shapes: { ...fgramShapes(fgram, decoder.vocabSize), ...residualShapes(fgram) } } }),
        ...(set && { rows: { count: set.size, rowBytes: 4 * decoder.width } }),
      });
      output({ model, cost }, formatCost(cost));
      return;
    }
    using device = await openDevice();
    progress.note(`adapter: ${device.info.description}`);
    const pretrained = config.from === undefined ? undefined : await openPretrained(device, config.from, vocabSize);
    const options = {
      directory: path.resolve(directory),
      model: modelOf(config, vocabSize, set, pretrained),
      ...(pretrained === undefined ? {} : { pretrained }),
      training: trainingSchema.strip().parse(config),
      inputs: { data, dataDirectory, ...(set === undefined ? {} : { fgrams: { set, directory: fgrams } }) },
      label: path.basename(directory),
      allowChange: config.allowChange,
      prompt: config.prompt,
      preflight: config.preflight,
      progress,
      signal,
    };
    if (config.smoke) {
      const tried = await smoke(device, options);
      output(
        tried,
        `three steps the whole way: losses ${tried.losses.map((loss) => loss.toFixed(3)).join(', ')}, held out ${tried.heldoutLoss.toFixed(3)}, ${tried.rows} rows; nothing is kept\n`,
      );
      return;
    }
    const { model: trained, result } = await trainRun(device, { ...options, peak: await measurePeak(device) });
    trained[Symbol.dispose]();
    const last = result.metrics.at(-1);
    if (last === undefined) throw new Error('unreachable: a finished run has metrics');
    const next = config.plain ? `scone-train eval --run ${directory} --data ${dataDirectory}` : `scone-train precompute --run ${directory}`;
    output(
      { directory: path.resolve(directory), ...last },
      `${directory}: ${last.tokens.toLocaleString('en')} tokens, training loss ${last.loss.toFixed(3)}\nnext: ${next}\n`,
    );
  },
});
