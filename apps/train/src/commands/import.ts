/** `scone-train import`: a pretrained model in Hugging Face's form as a run, which all other commands take. */
import path from 'node:path';
import { publishBytes, publishDirectory, sha256 } from '@sconelm/artifact';
import { defineCommand } from '@sconelm/cli-kit';
import {
  countParameters,
  decoderShapes,
  loadModelFolder,
  modelDirectory,
  openModelFolder,
  saveCheckpoint,
  withContext,
} from '@sconelm/decoder';
import { allocateModel, checkpointFolder, runPaths, writeRunManifest } from '@sconelm/fgram-model';
import { openDevice } from '@sconelm/tensor-webgpu';
import { z } from 'zod';
import { TrainError } from '../errors.js';
import { expectAbsent } from '../expect-absent.js';

export const importCommand = defineCommand({
  name: 'import',
  positionals: ['model', 'directory'],
  summary: 'a pretrained model in Hugging Face’s form, as a run',
  examples: [
    'scone-train import ./SmolLM2-135M runs/smollm2',
    'scone-train import HuggingFaceTB/SmolLM2-135M runs/smollm2 --revision main',
  ],
  config: z.strictObject({
    model: z.string().describe('a folder with config.json, model.safetensors and tokenizer.json, or a name on the hub'),
    directory: z.string().describe('the run’s folder'),
    revision: z.string().default('main').describe('branch, tag or commit on the hub'),
    contextLength: z
      .int()
      .positive()
      .optional()
      .describe('tokens per window and in the cache (default: the model’s, 2,048 at most if its positions are rotary)'),
  }),
  run: async ({ config, progress, output }) => {
    const directory = path.resolve(config.directory);
    expectAbsent(directory);
    const source = await modelDirectory(config.model, {
      revision: config.revision,
      onProgress: (file) => progress.note(`${config.model}: ${file}`),
    });
    const { config: whole, tokenizer, modelType, beginToken, endTokens } = await openModelFolder(source);
    if (tokenizer === undefined)
      throw new TrainError('TRAIN_DATA', `${source} has no tokenizer.json`, 'Add the tokenizer.json of this model.');
    const decoder = withContext(whole, config.contextLength);
    using device = await openDevice();
    using model = allocateModel(device, { decoder });
    await loadModelFolder(device, source, model.dense);
    await publishDirectory(directory, async (aside) => {
      await publishBytes(runPaths(aside).tokenizer, tokenizer);
      await saveCheckpoint(path.join(checkpointFolder(aside, 0), 'model.safetensors'), model.variables);
      const tokens = { end: [...endTokens], ...(beginToken !== undefined && { begin: beginToken }) };
      const manifest = { model: { decoder }, tokenizer: sha256(tokenizer), tokens, training: { imported: config.model, modelType } };
      await writeRunManifest(aside, manifest);
    });
    const parameters = countParameters(decoderShapes(decoder));
    output(
      { directory, source, modelType, parameters, decoder },
      `${config.directory}: ${modelType}, ${parameters.toLocaleString('en')} parameters\nnext: scone-infer generate --run ${config.directory} --prompt "..."\n`,
    );
  },
});
