/** The whole way of the data on the bundled corpus: text, tokens, f-grams, three models, rows, evaluation, a sample, a page. */
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { publishBytes } from '@sconelm/artifact';
import type { Progress } from '@sconelm/cli-kit';
import { fingerprint, Sampler } from '@sconelm/decoder';
import { precompute } from '@sconelm/fgram-model';
import {
  type Dataset,
  type FgramSet,
  mine,
  openDataset,
  openFgrams,
  prepareDataset,
  readDocuments,
  trainTokenizer,
} from '@sconelm/ngram-miner';
import { createStore, openStore, type RowStore } from '@sconelm/offload-store';
import { type Device, openDevice } from '@sconelm/tensor-webgpu';
import { type Evaluation, evaluate, generate } from '../evaluate.js';
import { createModel, type Model } from '../model.js';
import { type TrainResult, trainModel } from '../trainer.js';
import { Windows } from '../windows.js';
import { BATCH, FGRAMS, LEARNING_RATE, MODELS, type ModelName, type QuickstartConfig, stepsFor, VOCABULARY } from './recipe.js';
import { LABELS, type ReportData, renderReport } from './report.js';
import { type Summary, summarize } from './summary.js';

export interface QuickstartOptions extends QuickstartConfig {
  /** The bundled corpus. */
  readonly corpus: string;
  /** Where everything is written. */
  readonly directory: string;
  readonly signal: AbortSignal;
  readonly progress: Progress;
}

const NAMES = Object.keys(MODELS) as ModelName[];

/** Runs what is not done yet. @returns the figures, also in summary.json, and the page's path */
export async function quickstart(options: QuickstartOptions): Promise<{ readonly summary: Summary; readonly report: string }> {
  const { directory, progress, seed, budget } = options;
  const say = (line: string) => progress.note(line);
  const started = performance.now();
  await startOver(directory, JSON.stringify({ budget, seed }), say);
  const data = await prepare(options);
  const boundary = data.tokenizer.endOfText;
  const set = await mineFgrams(options, data);
  using device = await openDevice();
  say(`adapter: ${device.info.description}${device.info.software ? ' (a CPU; a GPU is many times faster)' : ''}`);

  const models = {} as Record<ModelName, { model: Model; result: TrainResult }>;
  for (const name of NAMES) models[name] = await train(options, device, data, set, name);

  await using store = await fillStore(options, device, models.scone.model, set);
  say('evaluating on held-out text');
  const lookup = { set, store };
  const evaluations = {} as Record<ModelName, Evaluation>;
  const T = MODELS.scone.decoder.contextLength;
  const groups = windowLengths(data.heldout.tokens, T, set, boundary);
  for (const name of NAMES)
    evaluations[name] = await evaluate(
      device,
      models[name].model,
      data.heldout.tokens,
      boundary,
      name === 'scone' ? lookup : undefined,
      groups,
    );

  say('generating a sample with each model');
  const prompt = [boundary, ...data.tokenizer.encode('Fellow citizens, the people of the United States')];
  const generated = {} as Record<ModelName, Awaited<ReturnType<typeof generate>>>;
  for (const name of NAMES) {
    const sampler = new Sampler({ temperature: 0.8, topK: 50, seed });
    generated[name] = await generate(device, models[name].model, prompt, boundary, {
      count: 100,
      sampler,
      ...(name === 'scone' ? { lookup } : {}),
    });
  }

  const bytesPerToken = data.heldout.bytes / data.heldout.tokens.length;
  const measured = (name: ModelName) =>
    summarize({
      config: MODELS[name],
      evaluation: evaluations[name],
      bytesPerToken,
      trainingTokens: stepsFor(budget) * BATCH * T,
      nodes: models[name].result.nodes,
      msPerToken: generated[name].msPerToken,
    });
  const positions = evaluations.scone.tokens;
  const summary: Summary = {
    baseline: measured('baseline'),
    larger: measured('larger'),
    scone: {
      ...measured('scone'),
      rows: store.rows,
      storeBytes: store.rows * store.rowBytes,
      rowBytes: store.rowBytes,
      hitRate: 1 - (evaluations.scone.byLength[1]?.count ?? 0) / positions,
    },
    seed,
    adapter: device.info.description,
    seconds: (performance.now() - started) / 1000,
  };
  await publishBytes(path.join(directory, 'model.json'), `${JSON.stringify(MODELS.scone, null, 2)}\n`);
  const lengths = Object.entries(evaluations.scone.byLength).map(([length, { count, loss }]) => {
    const other = evaluations.baseline.byLength[Number(length)];
    return { length: Number(length), share: count / positions, scone: loss / count, baseline: other.loss / other.count };
  });
  const sample = generated.scone.tokens
    .slice(1)
    .map((token, i) => ({ text: data.tokenizer.tokenText(token), length: generated.scone.lengths[i + 1] ?? 1 }));
  const curves: ReportData['curves'] = Object.fromEntries(NAMES.map((name) => [name, models[name].result.curve]));
  await publishBytes(path.join(directory, 'summary.json'), `${JSON.stringify(summary, null, 2)}\n`);
  const report = path.join(directory, 'report.html');
  await publishBytes(report, renderReport({ summary, curves, lengths, sample }));
  return { summary, report };
}

/** A folder of another budget or seed is of no use to this run. */
async function startOver(directory: string, config: string, say: (line: string) => void): Promise<void> {
  const file = path.join(directory, 'config.json');
  if (existsSync(file) && (await readFile(file, 'utf8')) !== config) {
    say(`${directory} is of another budget or seed; starting over`);
    await rm(directory, { recursive: true });
  }
  await publishBytes(file, config);
}

async function prepare({ corpus, directory, signal, progress }: QuickstartOptions): Promise<Dataset> {
  const target = path.join(directory, 'data');
  if (!existsSync(path.join(target, 'dataset.json'))) {
    const [train, heldout] = await Promise.all(
      ['train', 'heldout'].map((split) => readDocuments([path.join(corpus, `sotu-${split}.jsonl.gz`)])),
    );
    progress.note(`preparing ${train.length + heldout.length} documents: training a tokenizer of ${VOCABULARY} entries, encoding`);
    const tokenizer = trainTokenizer(train, { vocabSize: VOCABULARY });
    await prepareDataset({ tokenizer, directory: target, train, heldout, signal });
  }
  const data = await openDataset(target);
  progress.note(
    `data: ${data.train.tokens.length.toLocaleString('en')} training tokens, ${data.heldout.tokens.length.toLocaleString('en')} held out`,
  );
  return data;
}

async function mineFgrams({ directory, progress }: QuickstartOptions, { train, tokenizer }: Dataset): Promise<FgramSet> {
  const target = path.join(directory, 'fgrams');
  if (!existsSync(path.join(target, 'fgrams.json'))) {
    await mine(train.tokens, {
      ...FGRAMS,
      vocabSize: tokenizer.vocabSize,
      boundary: tokenizer.endOfText,
      directory: target,
      onProgress: (length) => progress.note(`counting n-grams of ${length} tokens`),
    });
  }
  const set = await openFgrams(target);
  progress.note(
    `f-grams: ${set.size.toLocaleString('en')}, the most frequent ${set.countOf(0).toLocaleString('en')} times, the last ${set.countOf(set.size - 1)} times`,
  );
  return set;
}

async function train(
  { directory, seed, budget, signal, progress }: QuickstartOptions,
  device: Device,
  data: Dataset,
  set: FgramSet,
  name: ModelName,
): Promise<{ model: Model; result: TrainResult }> {
  const config = MODELS[name];
  const { tokens } = data.train;
  const found = { ids: new Int32Array(tokens.length), lengths: new Uint8Array(tokens.length) };
  set.match(tokens, { ...found, boundary: data.tokenizer.endOfText });
  const T = config.decoder.contextLength;
  const steps = stepsFor(budget);
  const model = createModel(device, config, { seed });
  progress.note(`training ${LABELS[name]}: ${steps} steps of ${BATCH * T} tokens`);
  const result = await trainModel(device, model, new Windows(tokens, found.lengths, { T, seed }), {
    steps,
    batch: BATCH,
    learningRate: LEARNING_RATE,
    directory: path.join(directory, name),
    signal,
    onProgress: ({ step, loss, nodes }) => {
      const detail = `loss ${loss.toFixed(3)}${nodes > 0 ? `, ${nodes.toFixed(2)} forest nodes per token` : ''}`;
      progress.update(LABELS[name], { done: step * BATCH * T, total: steps * BATCH * T, unit: 'tokens', detail });
    },
  });
  return { model, result };
}

async function fillStore(
  { directory, signal, progress }: QuickstartOptions,
  device: Device,
  model: Model,
  set: FgramSet,
): Promise<RowStore> {
  const url = `file:${path.join(directory, 'rows')}`;
  const { config, parameters } = model;
  const binding = { fgrams: set.hash, model: await fingerprint(model.variables) };
  if (config.fgram === undefined) throw new Error('unreachable: only a SCONE model has rows');
  if (!existsSync(path.join(directory, 'rows'))) {
    await using writer = await createStore(url, { rows: set.size, width: config.fgram.width, dtype: 'f32', binding });
    await precompute(device, set, parameters, config.fgram, writer, {
      signal,
      onProgress: (done, total) => progress.update('precomputing rows', { done, total, unit: 'rows' }),
    });
    await writer.publish();
  }
  return openStore(url, { expect: binding });
}

/** Match lengths of windows that stand alone. */
function windowLengths(tokens: ArrayLike<number>, T: number, set: FgramSet, boundary: number): Uint8Array {
  const lengths = new Uint8Array(tokens.length);
  const matcher = set.matcher(boundary);
  for (let i = 0; i < tokens.length; i++) {
    if (i % T === 0) matcher.reset();
    matcher.push(tokens[i]);
    lengths[i] = matcher.length;
  }
  return lengths;
}
