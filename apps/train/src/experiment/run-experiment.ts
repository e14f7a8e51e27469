/** Runs what an experiment declares and is not there yet; results are lines of results.jsonl, one per run, and shared by experiments. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { CorruptArtifactError, publishBytes, withArtifactErrors } from '@sconelm/artifact';
import type { Progress } from '@sconelm/cli-kit';
import { countParameters, decoderShapes, inferenceFlopsPerToken } from '@sconelm/decoder';
import { evaluate, listCheckpoints, type Model, openModel, type PositionLoss, type RowSource, runPaths } from '@sconelm/fgram-model';
import { type Dataset, type FgramSet, mine, openDataset, openFgrams, prepareDataset, type TokenizerJson } from '@sconelm/ngram-miner';
import { copyStore, openStore, rowDtypes } from '@sconelm/offload-store';
import type { Device } from '@sconelm/tensor-webgpu';
import { bandOf } from '../run/count-bands.js';
import { readMetrics } from '../run/metrics.js';
import { modelOf } from '../run/model-config.js';
import { precomputeRun } from '../run/precompute-run.js';
import type { RunInputs } from '../run/start-run.js';
import { trainingFlops } from '../run/summary.js';
import { trainRun } from '../run/train-run.js';
import { trainingSchema } from '../run/training-config.js';
import { type Experiment, type GridRun, type Group, type RunResult, runOptionsSchema, runResultSchema } from './grid.js';
export interface ExperimentOptions {
  /** The bundled corpus. */
  readonly corpus: string;
  /** Where everything is written. */
  readonly directory: string;
  /** Text of another domain; losses there are told too. */
  readonly otherText?: string;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

const VOCABULARY = 1024;
/** Of every so many documents the small corpus has one. */
const TENTH = 10;
const MIN_COUNT = 5;
/** Of a held-out text, from its start. */
const MAX_TOKENS = 200_000;

/** @throws {TrainError | MinerError | ArtifactError | StoreError} */
export async function runExperiment(device: Device, { runs, withDtypes = false }: Experiment, options: ExperimentOptions): Promise<void> {
  const { directory, progress } = options;
  for (const [i, run] of runs.entries()) {
    const label = `${run.id} (${i + 1} of ${runs.length})`;
    const before = (await readResults(directory)).get(run.id);
    if (before !== undefined && (!withDtypes || before.byDtype !== undefined)) {
      progress.note(`${label}: done`);
      continue;
    }
    const inputs = await inputsOf(run, options);
    using model = await trained(device, run, inputs, label, options);
    const result = await evaluateGridRun(device, run, model, inputs, options);
    const dtypes = withDtypes ? { byDtype: await evaluateDtypes(device, run, model, inputs, options) } : {};
    await publishResults(directory, (await readResults(directory)).set(run.id, { ...result, ...dtypes }));
  }
}

/** Results so far, by run. @throws {ArtifactError} corrupt */
export async function readResults(directory: string): Promise<Map<string, RunResult>> {
  const file = path.join(directory, 'results.jsonl');
  if (!existsSync(file)) return new Map();
  const lines = (await withArtifactErrors(file, () => readFile(file, 'utf8'))).split('\n').filter((line) => line !== '');
  try {
    return new Map(lines.map((line) => runResultSchema.parse(JSON.parse(line))).map((result) => [result.id, result]));
  } catch (cause) {
    throw new CorruptArtifactError(`${file} holds no results`, 'Delete it; runs are evaluated again.', cause);
  }
}

async function publishResults(directory: string, results: ReadonlyMap<string, RunResult>): Promise<void> {
  await publishBytes(path.join(directory, 'results.jsonl'), [...results.values()].map((result) => `${JSON.stringify(result)}\n`).join(''));
}

type GridInputs = RunInputs & { readonly fgrams: NonNullable<RunInputs['fgrams']>; readonly other?: Dataset };

async function inputsOf({ corpus, fgrams: { maxLength, maxFgrams } }: GridRun, options: ExperimentOptions): Promise<GridInputs> {
  const { directory, signal, otherText } = options;
  const whole = await prepared(path.join(directory, 'data'), options, async () => ({
    train: path.join(options.corpus, 'sotu-train.jsonl.gz'),
    tokenizer: { vocabSize: VOCABULARY },
  }));
  const tokenizer = async () => JSON.parse(await readFile(path.join(whole.directory, 'tokenizer.json'), 'utf8')) as TokenizerJson;
  const data =
    corpus === 'whole'
      ? whole
      : await prepared(path.join(directory, corpus), options, async () => ({
          train: await writeTenth(options),
          tokenizer: await tokenizer(),
        }));
  const other =
    otherText === undefined
      ? undefined
      : await prepared(path.join(directory, 'other'), options, async () => ({
          train: path.join(options.corpus, 'sotu-heldout.jsonl.gz'), // a dataset has a training split; only the other one is read
          heldout: otherText,
          tokenizer: await tokenizer(),
        }));
  const folder = path.join(directory, 'fgrams', `${corpus === 'whole' ? '' : `${corpus}-`}k${maxLength}-${maxFgrams}`);
  if (!existsSync(path.join(folder, 'fgrams.json')))
    await mine(data.dataset.train.corpus, { directory: folder, maxLength, minCount: MIN_COUNT, maxFgrams, signal });
  return {
    data: data.dataset,
    dataDirectory: data.directory,
    fgrams: { set: await openFgrams(folder), directory: folder },
    ...(other === undefined ? {} : { other: other.dataset }),
  };
}

async function prepared(
  directory: string,
  { corpus, progress, signal }: ExperimentOptions,
  from: () => Promise<{ train: string; heldout?: string; tokenizer: { vocabSize: number } | TokenizerJson }>,
): Promise<{ dataset: Dataset; directory: string }> {
  if (!existsSync(path.join(directory, 'dataset.json'))) {
    const { train, heldout = path.join(corpus, 'sotu-heldout.jsonl.gz'), tokenizer } = await from();
    progress.note(`preparing ${directory}`);
    await prepareDataset({ directory, train: [train], heldout: [heldout], tokenizer, signal });
  }
  return { dataset: await openDataset(directory), directory };
}

async function writeTenth({ corpus, directory }: ExperimentOptions): Promise<string> {
  const file = path.join(directory, 'tenth.jsonl');
  const lines = gunzipSync(await readFile(path.join(corpus, 'sotu-train.jsonl.gz')))
    .toString('utf8')
    .split('\n');
  await publishBytes(file, lines.filter((line, i) => line !== '' && i % TENTH === 0).join('\n'));
  return file;
}

/** The run's model, trained first where it is not. */
async function trained(device: Device, run: GridRun, inputs: GridInputs, label: string, options: ExperimentOptions): Promise<Model> {
  const { progress, signal } = options;
  const directory = path.join(options.directory, 'runs', run.id);
  const given = runOptionsSchema.parse(run.options);
  const { set } = inputs.fgrams;
  const steps = (await listCheckpoints(directory)).at(-1);
  if (steps !== undefined && steps * given.batch * given.contextLength >= (given.tokens ?? Infinity)) return openModel(device, directory);
  const { model } = await trainRun(device, {
    ...{ directory, label, progress, signal },
    model: modelOf(given, inputs.data.tokenizer.vocabSize, given.plain ? undefined : set),
    training: trainingSchema.strip().parse(given),
    inputs: { data: inputs.data, dataDirectory: inputs.dataDirectory, ...(given.plain ? {} : { fgrams: inputs.fgrams }) },
  });
  return model;
}

async function evaluateGridRun(
  device: Device,
  run: GridRun,
  model: Model,
  inputs: GridInputs,
  options: ExperimentOptions,
): Promise<RunResult> {
  const { data, fgrams, other } = inputs;
  const { set } = fgrams;
  const { decoder, fgram } = model.config;
  const rows = fgram === undefined ? undefined : ('model' as const);
  const byCount: Record<string, { count: number; loss: number }> = {};
  const visit = ({ id, loss }: PositionLoss) => {
    const band = bandOf(id < 0 ? undefined : set.countOf(id));
    byCount[band] ??= { count: 0, loss: 0 };
    byCount[band].count++;
    byCount[band].loss += loss;
  };
  const measured = await heldoutOf(device, model, data, set, { ...(rows === undefined ? {} : { rows }), visit }, run.id, options);
  const elsewhere =
    other === undefined
      ? undefined
      : await heldoutOf(device, model, other, set, rows === undefined ? {} : { rows }, `${run.id}, other text`, options);
  const metrics = await readMetrics(runPaths(path.join(options.directory, 'runs', run.id)).metrics);
  const last = metrics[metrics.length - 1];
  const matched = Object.entries(measured.byLength).filter(([length]) => length !== '1');
  return {
    id: run.id,
    date: new Date().toISOString().slice(0, 10),
    adapter: `${device.info.description}, ${os.cpus().length} × ${os.cpus()[0]?.model ?? 'CPU'}`,
    seed: runOptionsSchema.parse(run.options).seed,
    trainingTokens: last.tokens,
    trainingFlops: trainingFlops(model.config, last),
    inferenceFlops: inferenceFlopsPerToken(decoder),
    decoderParameters: countParameters(decoderShapes(decoder)),
    trainedParameters: model.variables.reduce((sum, { tensor }) => sum + tensor.size, 0),
    nodesPerToken: last.nodes / last.tokens,
    paddedPerToken: matched.reduce((sum, [length, { count }]) => sum + Number(length) * count, 0) / measured.group.count,
    fgrams: set.size,
    inDomain: measured.group,
    bitsPerByte: measured.bitsPerByte,
    ...(elsewhere === undefined ? {} : { outOfDomain: elsewhere.group, outOfDomainBitsPerByte: elsewhere.bitsPerByte }),
    byLength: measured.byLength,
    byCount,
    curve: metrics.flatMap(({ tokens, heldoutLoss }) => (heldoutLoss === undefined ? [] : [{ tokens, loss: heldoutLoss }])),
  };
}

async function heldoutOf(
  device: Device,
  model: Model,
  { heldout, tokenizer }: Dataset,
  set: FgramSet,
  through: { readonly rows?: RowSource | 'model'; readonly visit?: (found: PositionLoss) => void },
  label: string,
  { progress, signal }: ExperimentOptions,
): Promise<{ group: Group; bitsPerByte: number; byLength: Record<string, Group> }> {
  const all = await heldout.load();
  const found = await evaluate(device, model, all.subarray(0, MAX_TOKENS), {
    ...through,
    matcher: set.matcher(tokenizer.endOfText),
    signal,
    onProgress: (done, total) => progress.update(`evaluating ${label}`, { done, total, unit: 'tokens' }),
  });
  return {
    group: { count: found.tokens, loss: found.loss * found.tokens },
    bitsPerByte: (found.loss / Math.LN2 / heldout.bytes) * all.length,
    byLength: Object.fromEntries(Object.entries(found.byLength)),
  };
}

async function evaluateDtypes(
  device: Device,
  run: GridRun,
  model: Model,
  { data, fgrams: { set } }: GridInputs,
  options: ExperimentOptions,
): Promise<NonNullable<RunResult['byDtype']>> {
  const { progress, signal } = options;
  const url = (dtype: string) => `file:${path.join(options.directory, 'runs', run.id, `rows-${dtype}`)}`;
  const exact = await precomputeRun(device, { model, set, store: url('f32'), rowDtype: 'f32', progress, signal });
  await exact.close();
  const found: Record<string, { loss: number; rowBytes: number }> = {};
  for (const dtype of rowDtypes) {
    if (dtype !== 'f32' && !existsSync(new URL(`${url(dtype)}/manifest.json`))) await copyStore(url('f32'), url(dtype), { dtype, signal });
    await using rows = await openStore(url(dtype));
    const { group } = await heldoutOf(device, model, data, set, { rows }, `${run.id}, ${dtype} rows`, options);
    found[dtype] = { loss: group.loss / group.count, rowBytes: rows.rowBytes };
  }
  return found;
}
