/** The whole way of the data on the bundled corpus: text, tokens, f-grams, three models, rows, evaluation, samples, a page. */
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { publishBytes } from '@sconelm/artifact';
import type { Progress } from '@sconelm/cli-kit';
import { inferenceFlopsPerToken } from '@sconelm/decoder';
import { type Model, runPaths } from '@sconelm/fgram-model';
import { type Dataset, type FgramSet, mine, openDataset, openFgrams, prepareDataset } from '@sconelm/ngram-miner';
import { openDevice } from '@sconelm/tensor-webgpu';
import { evaluateRun } from '../run/evaluate-run.js';
import type { Metrics } from '../run/metrics.js';
import { precomputeRun } from '../run/precompute-run.js';
import { type ReportedRun, renderReport } from '../run/report.js';
import { hitRateOf, type ModelSummary, modelSummarySchema, type RunEvaluation } from '../run/summary.js';
import { trainRun } from '../run/train-run.js';
import { decodeInTurn } from './decode-in-turn.js';
import { FGRAMS, MODELS, type ModelName, NAMES, trainingOf, VOCABULARY } from './recipe.js';

export interface QuickstartOptions {
  /** Minutes on two cores without a GPU; training tokens are proportional to it. */
  readonly budget: number;
  readonly seed: number;
  /** The bundled corpus. */
  readonly corpus: string;
  /** Where everything is written. */
  readonly directory: string;
  readonly signal: AbortSignal;
  readonly progress: Progress;
}

/** summary.json */
export interface Summary {
  readonly baseline: ModelSummary;
  readonly larger: ModelSummary;
  readonly scone: ModelSummary & {
    readonly rows: number;
    readonly storeBytes: number;
    readonly rowBytes: number;
    readonly hitRate: number;
  };
  readonly seed: number;
  readonly adapter: string;
  /** Of this command; a resumed one counts from where it went on. */
  readonly seconds: number;
}

export interface QuickstartResult {
  readonly summary: Summary;
  readonly runs: readonly ReportedRun[];
  /** The page's path. */
  readonly report: string;
}

const PROMPT = 'Fellow citizens, the people of the United States';

/** Runs what is not done yet. */
export async function quickstart(options: QuickstartOptions): Promise<QuickstartResult> {
  const { directory, progress, seed, budget, signal } = options;
  const started = performance.now();
  await startOver(directory, JSON.stringify({ budget, seed }), progress);
  const dataDirectory = path.join(directory, 'data');
  const data = await prepare(options, dataDirectory);
  const fgramsDirectory = path.join(directory, 'fgrams');
  const set = await mineFgrams(options, data, fgramsDirectory);
  using device = await openDevice();
  progress.note(`adapter: ${device.info.description}${device.info.software ? ' (a CPU; a GPU is many times faster)' : ''}`);

  const training = trainingOf({ budget, seed });
  const folder = (name: ModelName) => path.join(directory, name);
  const labels = labelsOf();
  const trained = {} as Record<ModelName, { readonly model: Model; readonly metrics: readonly Metrics[] }>;
  for (const name of NAMES) {
    const { model, result } = await trainRun(device, {
      directory: folder(name),
      model: MODELS[name],
      training,
      inputs: { data, dataDirectory, ...(name === 'scone' ? { fgrams: { set, directory: fgramsDirectory } } : {}) },
      label: labels[name],
      progress,
      signal,
    });
    trained[name] = { model, metrics: result.metrics };
  }

  const store = `file:${runPaths(folder('scone')).rows}`;
  await using rows = await precomputeRun(device, { model: trained.scone.model, set, store, rowDtype: 'f32', progress, signal });
  const evaluations = {} as Record<ModelName, RunEvaluation>;
  for (const name of NAMES) {
    evaluations[name] = await evaluateRun(device, {
      directory: folder(name),
      model: trained[name].model,
      data,
      set,
      ...(name === 'scone' ? { rows } : {}),
      prompt: PROMPT,
      seed,
      label: labels[name],
      progress,
      signal,
    });
  }
  progress.note('timing: all three decode in turn');
  const sample = (name: ModelName) => ({ model: trained[name].model, tokenizer: data.tokenizer, prompt: PROMPT, seed, signal });
  const msPerToken = await decodeInTurn(device, {
    baseline: sample('baseline'),
    scone: { ...sample('scone'), fgrams: { set, rows } },
    larger: sample('larger'),
  });
  for (const name of NAMES) {
    evaluations[name] = { ...evaluations[name], msPerToken: msPerToken[name] };
    trained[name].model[Symbol.dispose]();
  }

  const figures = (name: ModelName): ModelSummary => modelSummarySchema.strip().parse(evaluations[name]);
  const summary: Summary = {
    baseline: figures('baseline'),
    larger: figures('larger'),
    scone: {
      ...figures('scone'),
      rows: rows.rows,
      storeBytes: rows.rows * rows.rowBytes,
      rowBytes: rows.rowBytes,
      hitRate: hitRateOf(evaluations.scone),
    },
    seed,
    adapter: device.info.description,
    seconds: (performance.now() - started) / 1000,
  };
  const runs = NAMES.map((name) => ({ label: labels[name], metrics: trained[name].metrics, evaluation: evaluations[name] }));
  await publishBytes(path.join(directory, 'summary.json'), `${JSON.stringify(summary, null, 2)}\n`);
  const report = path.join(directory, 'report.html');
  await publishBytes(report, renderReport({ title: 'SCONE quickstart', lead: leadOf(summary), runs }));
  return { summary, runs, report };
}

/** The larger model is called by what it costs. */
function labelsOf(): Record<ModelName, string> {
  const times = inferenceFlopsPerToken(MODELS.larger.decoder) / inferenceFlopsPerToken(MODELS.baseline.decoder);
  return { baseline: 'baseline', scone: 'SCONE', larger: `${times.toFixed(1)} × the size` };
}

function leadOf({ baseline, scone, larger, seed, adapter }: Summary): string[] {
  const change = (other: number) => {
    const percent = (100 * Math.abs(1 - scone.perplexity / other)).toFixed(1);
    return `${percent}% ${scone.perplexity < other ? 'below' : 'above'}`;
  };
  const times = (larger.flopsPerToken / baseline.flopsPerToken).toFixed(1);
  return [
    `SCONE’s held-out perplexity is ${scone.perplexity.toFixed(1)}: ${change(baseline.perplexity)} the baseline’s (${baseline.perplexity.toFixed(1)}) at equal inference FLOPs, ${change(larger.perplexity)} that of a decoder of ${times} times the inference FLOPs (${larger.perplexity.toFixed(1)}). Seed ${seed}, ${adapter}.`,
    'The gap narrows with longer training: an independent implementation measured 13.5% at 8 million tokens on this corpus.',
  ];
}

/** A folder of another budget or seed is of no use to this run. */
async function startOver(directory: string, config: string, progress: Progress): Promise<void> {
  const file = path.join(directory, 'quickstart.json');
  if (existsSync(file)) {
    if ((await readFile(file, 'utf8')) === config) return;
    progress.note(`${directory} is of another budget or seed; starting over`);
    await rm(directory, { recursive: true });
  }
  await publishBytes(file, config);
}

async function prepare({ corpus, signal, progress }: QuickstartOptions, target: string): Promise<Dataset> {
  if (!existsSync(path.join(target, 'dataset.json'))) {
    progress.note('reading the corpus: State of the Union addresses, 1790 to 2020');
    const file = (split: string) => path.join(corpus, `sotu-${split}.jsonl.gz`);
    await prepareDataset({
      directory: target,
      train: [file('train')],
      heldout: [file('heldout')],
      tokenizer: { vocabSize: VOCABULARY },
      signal,
      onNote: (text) => progress.note(text),
      onProgress: ({ bytes, totalBytes }) => progress.update('encoding', { done: bytes, total: totalBytes, unit: 'bytes' }),
    });
  }
  const data = await openDataset(target);
  progress.note(
    `data: ${data.train.tokenCount.toLocaleString('en')} training tokens, ${data.heldout.tokenCount.toLocaleString('en')} held out`,
  );
  return data;
}

async function mineFgrams({ progress, signal }: QuickstartOptions, { train }: Dataset, target: string): Promise<FgramSet> {
  if (!existsSync(path.join(target, 'fgrams.json'))) {
    progress.note('counting n-grams');
    await mine(train.corpus, { ...FGRAMS, directory: target, signal });
  }
  const set = await openFgrams(target);
  progress.note(
    `f-grams: ${set.size.toLocaleString('en')}, the most frequent ${set.countOf(0).toLocaleString('en')} times, the last ${set.countOf(set.size - 1)} times`,
  );
  return set;
}
