/** Runs what an experiment declares and is not there yet; results are lines of results.jsonl, one per run, and shared by experiments. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { CorruptArtifactError, publishBytes, withArtifactErrors } from '@sconelm/artifact';
import { countParameters, decoderShapes, exportModelFolder, inferenceFlopsPerToken } from '@sconelm/decoder';
import { listCheckpoints, type Model, openModel, type PositionLoss, runPaths } from '@sconelm/fgram-model';
import type { Device } from '@sconelm/tensor-webgpu';
import { bandOf } from '../run/count-bands.js';
import { readMetrics } from '../run/metrics.js';
import { modelOf } from '../run/model-config.js';
import { openPretrained, type Pretrained } from '../run/pretrained.js';
import { trainingFlops } from '../run/summary.js';
import { trainRun } from '../run/train-run.js';
import { trainingSchema } from '../run/training-config.js';
import { evaluateDtypes } from './by-dtype.js';
import { evaluatePack } from './domain-pack.js';
import { measureForests } from './forest-cost.js';
import { type Experiment, type GridRun, type RunResult, runOptionsSchema, runResultSchema } from './grid.js';
import { type ExperimentOptions, type GridInputs, inputsOf } from './grid-data.js';
import { heldoutOf } from './held-out.js';

/** A run that is trained, and what it was trained on. */
export interface TrainedRun {
  readonly run: GridRun;
  readonly model: Model;
  readonly inputs: GridInputs;
}

const EXTRAS = { byDtype: evaluateDtypes, pack: evaluatePack, forest: measureForests };

/** @throws {TrainError | MinerError | ArtifactError | StoreError} */
export async function runExperiment(device: Device, { runs, extra }: Experiment, options: ExperimentOptions): Promise<void> {
  const { directory, progress } = options;
  for (const [i, run] of runs.entries()) {
    const label = `${run.id} (${i + 1} of ${runs.length})`;
    const before = (await readResults(directory)).get(run.id);
    if (before !== undefined && (extra === undefined || before[extra] !== undefined)) {
      progress.note(`${label}: done`);
      continue;
    }
    const inputs = await inputsOf(run, options);
    using model = await trained(device, run, inputs, label, options);
    const done = { run, model, inputs };
    const result = before ?? (await evaluateGridRun(device, done, options));
    const more = extra === undefined ? {} : { [extra]: await EXTRAS[extra](device, done, options) };
    await publishResults(directory, (await readResults(directory)).set(run.id, { ...result, ...more }));
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

/** The run's model, trained first where it is not. */
async function trained(device: Device, run: GridRun, inputs: GridInputs, label: string, options: ExperimentOptions): Promise<Model> {
  const { progress, signal } = options;
  const directory = path.join(options.directory, 'runs', run.id);
  const given = runOptionsSchema.parse(run.options);
  const { set } = inputs.fgrams;
  const steps = (await listCheckpoints(directory)).at(-1);
  if (steps !== undefined && steps * given.batch * given.contextLength >= (given.tokens ?? Infinity)) return openModel(device, directory);
  const pretrained = run.from === undefined ? undefined : await decoderOf(device, run.from, inputs, options);
  const { model } = await trainRun(device, {
    ...{ directory, label, progress, signal },
    model: modelOf(given, inputs.data.tokenizer.vocabSize, given.plain ? undefined : set, pretrained),
    training: { ...trainingSchema.strip().parse(given), ...(pretrained && { from: pretrained.directory }) },
    inputs: { data: inputs.data, dataDirectory: inputs.dataDirectory, ...(given.plain ? {} : { fgrams: inputs.fgrams }) },
    ...(pretrained && { pretrained }),
  });
  return model;
}

/** The decoder of another run of the grid, as a pretrained one. */
async function decoderOf(device: Device, from: GridRun, inputs: GridInputs, options: ExperimentOptions): Promise<Pretrained> {
  const folder = path.join(options.directory, 'runs', `${from.id}-decoder`);
  if (!existsSync(path.join(folder, 'config.json'))) {
    using model = await trained(device, from, inputs, from.id, options);
    const tokenizer = await readFile(path.join(inputs.dataDirectory, 'tokenizer.json'), 'utf8');
    await exportModelFolder(folder, model.config.decoder, model.dense, { tokenizer });
  }
  return openPretrained(device, folder, inputs.data.tokenizer.vocabSize);
}

async function evaluateGridRun(device: Device, { run, model, inputs }: TrainedRun, options: ExperimentOptions): Promise<RunResult> {
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
    trainedParameters: model.variables.reduce((sum, { shape }) => sum + shape.reduce((size, extent) => size * extent, 1), 0),
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
