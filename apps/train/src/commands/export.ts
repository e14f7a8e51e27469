/** `scone-train export`: a run's decoder in Hugging Face's form, for other tools; on request with the rows of its f-grams. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { publishBytes, withArtifactErrors } from '@sconelm/artifact';
import { defineCommand } from '@sconelm/cli-kit';
import { type ExportOptions, exportModelFolder, fingerprint, type StoredDType } from '@sconelm/decoder';
import { openModel, type RunManifest, readRunManifest, runPaths } from '@sconelm/fgram-model';
import { openFgrams, Tokenizer } from '@sconelm/ngram-miner';
import { openStore } from '@sconelm/offload-store';
import { openDevice } from '@sconelm/tensor-webgpu';
import { z } from 'zod';
import { backendOption, loadGivenBackends } from '../backend-option.js';
import { expectAbsent } from '../expect-absent.js';
import { exportRows } from '../run/export-rows.js';
import { modelCard } from '../run/model-card.js';

export const exportCommand = defineCommand({
  name: 'export',
  positionals: ['run', 'directory'],
  summary: 'the decoder of a run in Hugging Face’s form, for other tools',
  examples: ['scone-train export runs/baseline exported', 'scone-train export runs/scone exported --dtype bf16 --rows'],
  config: z.strictObject({
    run: z.string().describe('a trained run'),
    directory: z.string().describe('the folder to write'),
    dtype: z.enum(['f32', 'f16', 'bf16']).default('f32').describe('form of the weights'),
    rows: z.boolean().default(false).describe('also the rows of its f-grams, as safetensors, and their tokens, as fgrams.jsonl'),
    store: z.string().optional().describe('URL of the rows’ store (default: rows in the run’s folder)'),
    backend: backendOption,
    corpus: z.string().optional().describe('what the text is and where it is from, for the model card'),
    licence: z.string().optional().describe('of the model, for the model card: an identifier such as mit or cc-by-4.0'),
    maxShardBytes: z.int().positive().default(5_000_000_000).describe('weights beyond this go to further files'),
  }),
  run: async ({ config, progress, output }) => {
    const target = path.resolve(config.directory);
    expectAbsent(target);
    const directory = path.resolve(config.run);
    const { tokenizer: file } = runPaths(directory);
    const manifest = await readRunManifest(directory);
    const tokenizer = await withArtifactErrors(file, () => readFile(file, 'utf8'));
    using device = await openDevice();
    using model = await openModel(device, directory);
    const dtype = config.dtype.toUpperCase() as StoredDType;
    await loadGivenBackends(config.backend);
    const writeRows = async (aside: string) => {
      const set = await openFgrams(runPaths(directory).fgrams);
      const expect = { fgrams: set.hash, model: await fingerprint(model.variables) };
      await using rows = await openStore(config.store ?? `file:${runPaths(directory).rows}`, { expect });
      await exportRows(aside, set, rows, dtype);
      return { count: rows.rows, dtype: config.dtype };
    };
    const writeMore = async (aside: string) => {
      const rows = config.rows ? await writeRows(aside) : undefined;
      const reference = isKnownToReference(await readFile(path.join(aside, 'config.json'), 'utf8'));
      if (reference) await publishBytes(path.join(aside, 'scone_reference.py'), await readFile(REFERENCE));
      const facts = { name: path.basename(target), corpus: config.corpus, licence: config.licence, rows, reference };
      await publishBytes(path.join(aside, 'README.md'), await modelCard(directory, manifest, facts));
    };
    await exportModelFolder(target, model.config.decoder, model.dense, {
      tokenizer,
      dtype,
      writeMore,
      maxShardBytes: config.maxShardBytes,
      ...tokensOf(manifest, tokenizer),
    });
    if (model.config.fgram !== undefined && !config.rows)
      progress.note('the f-grams of this run are left out: other tools know the decoder alone; --rows adds them');
    output(
      { directory: target, decoder: model.config.decoder },
      `${config.directory}: weights${config.rows ? ', rows' : ''} in ${config.dtype}, and what they are: README.md\n`,
    );
  },
});

/** The model by numpy alone. */
const REFERENCE = new URL('../../assets/scone_reference.py', import.meta.url);

function isKnownToReference(configJson: string): boolean {
  const { model_type: type, rope_scaling: scaling } = JSON.parse(configJson);
  return (type === 'gpt2' || type === 'llama') && (scaling ?? null) === null;
}

/** Those that the model came with; in our own runs one token opens documents, and so ends them. */
function tokensOf({ tokens }: RunManifest, tokenizer: string): Pick<ExportOptions, 'beginToken' | 'endTokens'> {
  if (tokens !== undefined) return { endTokens: tokens.end, ...(tokens.begin !== undefined && { beginToken: tokens.begin }) };
  const { endOfText } = Tokenizer.parse(tokenizer);
  return { beginToken: endOfText, endTokens: [endOfText] };
}
