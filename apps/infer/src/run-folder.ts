/** A trained run as inference needs it: model, tokenizer, f-grams and their store, checked to belong together. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { sha256, withArtifactErrors } from '@sconelm/artifact';
import {
  decoderShapes,
  Fingerprint,
  loadModelFolder,
  modelDirectory,
  openModelFolder,
  Weights,
  weightFormats,
  withContext,
} from '@sconelm/decoder';
import { type InferenceModel, openDecoder, openModel, RowComputer, readRunManifest, runPaths } from '@sconelm/fgram-model';
import { type FgramSet, openFgrams, Tokenizer } from '@sconelm/ngram-miner';
import { loadBackends, type OpenOptions, openFillingStore, openStore, type RowStore, type StoreRequest } from '@sconelm/offload-store';
import type { Device } from '@sconelm/tensor-webgpu';
import { z } from 'zod';
import type { SequenceFgrams } from './engine/batch-decoder.js';
import { InferError } from './errors.js';
import { type VerificationOptions, VerifiedRows } from './verified-rows.js';

/** Options of every command that opens a run. */
export const runOptions = {
  run: z.string().default('runs/quickstart/scone').describe('a trained run'),
  model: z.string().optional().describe('a pretrained model in its place: a folder in Hugging Face’s form, or a name on the hub'),
  contextLength: z
    .int()
    .positive()
    .optional()
    .describe('with --model: tokens in the cache (default: the model’s, 2,048 at most if its positions are rotary)'),
  weights: z
    .enum(weightFormats)
    .default('f32')
    .describe('matrices on the accelerator: f32, int8 (a scale per output), int4 (per 32 inputs)'),
  store: z.string().optional().describe('URL of its store (default: rows in the run’s folder)'),
  backend: z.array(z.string()).default([]).describe('files of modules that export further store backends'),
  check: z
    .enum(['never', 'first-touch', 'always'])
    .optional()
    .describe('when rows are compared with their checksums (default: always over a network, first-touch with --damaged-rows, else never)'),
  damagedRows: z
    .enum(['error', 'fallback', 'recompute'])
    .default('error')
    .describe('what is done about rows that cannot be had: error, fallback (the token’s own embedding), recompute (by the f-gram model)'),
  missingRows: z
    .enum(['error', 'recompute'])
    .default('error')
    .describe(
      'what is done where there is no store yet: error, recompute (rows are computed when first wanted, and written where precompute goes on)',
    ),
  hotRows: z.int().nonnegative().default(0).describe('rows kept in memory, from the most frequent f-gram on'),
  cacheRows: z.int().nonnegative().default(0).describe('other rows kept in memory, those used last'),
};

export type RunOptions = z.output<z.ZodObject<typeof runOptions>>;

/** The f-grams of a run. */
export interface RunFgrams {
  readonly set: FgramSet;
  readonly rows: RowStore;
  /** Where a sample of the rows is compared. */
  readonly verified?: VerifiedRows | undefined;
  /** What one sequence needs: a matcher of its own, and the store that all share. */
  forSequence(): SequenceFgrams;
}

export interface Run extends AsyncDisposable {
  /** Absolute. */
  readonly directory: string;
  /** What it is called where nobody says otherwise. */
  readonly name: string;
  readonly model: InferenceModel & { readonly weights: Weights };
  /** A hash of every parameter. */
  readonly fingerprint: string;
  readonly tokenizer: Tokenizer;
  /** What it was made from. */
  readonly tokenizerJson: string;
  /** Each of them ends a text. */
  readonly stopTokens: readonly number[];
  /** Absent for a plain decoder. */
  readonly fgrams?: RunFgrams;
}

/** Whether rows may have to be computed while a run is used, by its f-gram model. @param verifies a sample of the rows is compared */
export function computesRows({ damagedRows, missingRows }: Pick<RunOptions, 'damagedRows' | 'missingRows'>, verifies: boolean): boolean {
  return damagedRows === 'recompute' || missingRows === 'recompute' || verifies;
}

/** Loads what --backend names. */
export async function loadStoreBackends({ backend }: Pick<RunOptions, 'backend'>): Promise<void> {
  await loadBackends(backend.map((file) => pathToFileURL(file).href));
}

/**
 * @param verify a sample of the rows is computed again while they are read
 * @throws the typed error of the part that is missing, damaged or of another run
 */
export async function openRun(device: Device, options: RunOptions, verify?: Omit<VerificationOptions, 'compute'>): Promise<Run> {
  const { run } = options;
  if (options.model !== undefined) return openPretrained(device, options.model, options);
  await loadStoreBackends(options);
  const directory = path.resolve(run);
  const paths = runPaths(directory);
  const manifest = await readRunManifest(directory);
  const json = await withArtifactErrors(paths.tokenizer, () => readFile(paths.tokenizer, 'utf8'));
  if (sha256(json) !== manifest.tokenizer) {
    throw new InferError('RUN_MIXED', `${paths.tokenizer} is not the tokenizer of this run`, 'Copy the run’s folder again.');
  }
  const tokenizer = Tokenizer.parse(json);
  const model = await openDecoder(device, directory, options.weights);
  let computer: OwnedComputer | undefined;
  const dispose = () => {
    computer?.[Symbol.dispose]();
    model[Symbol.dispose]();
  };
  try {
    const name = path.basename(directory);
    const stopTokens = [tokenizer.endOfText, ...(manifest.tokens?.end ?? [])];
    const common = { directory, name, model, tokenizer, tokenizerJson: json, stopTokens, fingerprint: model.fingerprint };
    if (manifest.fgrams === undefined) return { ...common, [Symbol.asyncDispose]: async () => dispose() };
    const set = await openFgrams(paths.fgrams);
    if (set.hash !== manifest.fgrams) {
      throw new InferError('RUN_MIXED', `${paths.fgrams} has other f-grams than this run`, 'Copy the run’s folder again.');
    }
    if (computesRows(options, verify !== undefined)) computer = await openComputer(device, directory, set);
    const compute = computer?.compute;
    const binding = { fgrams: set.hash, model: common.fingerprint };
    const rows = await openRows(options, `file:${paths.rows}`, { rows: set.size, width: model.config.decoder.width, binding }, compute);
    const verified = verify && compute && new VerifiedRows(rows, { ...verify, compute });
    const source = verified?.rows ?? rows;
    return {
      ...common,
      fgrams: { set, rows, verified, forSequence: () => ({ matcher: set.matcher(tokenizer.endOfText), rows: source }) },
      async [Symbol.asyncDispose]() {
        await verified?.settled();
        await rows.close();
        dispose();
      },
    };
  } catch (error) {
    dispose();
    throw error;
  }
}

export function isMissingStore(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'STORE_MISSING';
}

/** The published store; where there is none and rows may be computed, one that fills itself. */
async function openRows(
  { store, check, damagedRows, missingRows, hotRows, cacheRows }: RunOptions,
  ofRun: string,
  request: Omit<StoreRequest, 'dtype'>,
  compute: OwnedComputer['compute'] | undefined,
): Promise<RowStore> {
  const url = store ?? ofRun;
  const damaged: OpenOptions['damaged'] & {} = damagedRows === 'recompute' ? (compute ?? 'error') : damagedRows;
  const kept = { hotRows, cacheRows };
  try {
    return await openStore(url, { expect: request.binding, damaged, ...kept, ...(check === undefined ? {} : { check }) });
  } catch (error) {
    if (!isMissingStore(error) || missingRows === 'error' || compute === undefined) throw error;
    return openFillingStore(url, { ...request, dtype: 'f32' }, compute, kept);
  }
}

/** A decoder without f-grams. @throws {DecoderError | InferError} */
async function openPretrained(device: Device, name: string, { contextLength, weights: format }: RunOptions): Promise<Run> {
  const directory = await modelDirectory(name);
  const { config, tokenizer: json, endTokens } = await openModelFolder(directory);
  if (json === undefined) throw new InferError('RUN_MIXED', `${directory} has no tokenizer.json`, 'Add the tokenizer.json of this model.');
  const tokenizer = Tokenizer.parse(json);
  const decoder = withContext(config, contextLength);
  const weights = new Weights(device, decoderShapes(decoder), format);
  const dispose = async () => weights[Symbol.dispose]();
  try {
    const hash = new Fingerprint();
    await loadModelFolder(device, directory, { get: (parameter) => hash.through(weights.get(parameter)) });
    const stopTokens = [tokenizer.endOfText, ...endTokens];
    const found = {
      directory,
      name: path.basename(name),
      model: { config: { decoder }, weights, parameters: weights.parameters, [Symbol.dispose]: () => weights[Symbol.dispose]() },
      tokenizer,
      tokenizerJson: json,
      stopTokens,
      fingerprint: hash.value,
    };
    return { ...found, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** Computes rows anew as precompute did. */
type OwnedComputer = Pick<RowComputer, 'compute'> & Disposable;

/** By the whole model of the run in f32: the f-gram model reads the token table, and rows must be those of the store to the last bit. */
async function openComputer(device: Device, directory: string, set: FgramSet): Promise<OwnedComputer> {
  const model = await openModel(device, directory);
  const { fgram } = model.config;
  if (fgram === undefined) throw new Error('unreachable: a run with f-grams has an f-gram model');
  const computer = new RowComputer(device, set, model, fgram);
  return {
    compute: (ids, into) => computer.compute(ids, into),
    [Symbol.dispose]() {
      computer[Symbol.dispose]();
      model[Symbol.dispose]();
    },
  };
}
