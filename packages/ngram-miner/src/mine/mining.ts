/** Counting all n-grams of a corpus: the threads, what they share, the plan, and one file of records per step of it. (SCONE, Alg. 3) */
import { sha256 } from '@sconelm/artifact';
import { MinerError } from '../errors.js';
import { type TokenCorpus, tokenBytes, tokenCountOf } from '../tokens/corpus.js';
import { chunksOf, shareOut } from './chunks.js';
import type { KernelSettings } from './kernel/kernel.js';
import { layOut, type WorkerRegions } from './layout.js';
import type { CheckedOptions, MiningPlan } from './options.js';
import type { PartialWork, StoredPlan } from './partial.js';
import { type Alphabet, alphabetOf, type Capacity, capacityFor, planSteps, type Step, symbolsOfPart } from './plan.js';
import { Pool } from './pool.js';
import { encodeRecord, type RecordFile, type RecordForm, recordTokenBytes } from './records.js';
import type { Task } from './worker.js';

/** What a thread takes besides the shared memory: V8 and the module. */
const THREAD_BYTES = 11 * 2 ** 20;
/** What this thread takes more than before it mined. */
const OWN_BYTES = 24 * 2 ** 20;
/** With less, passes would be very many. */
const LEAST_WORK_BYTES = 4 * 2 ** 20;
const ADDRESS_SPACE = 2 ** 32 - 65_536;
/** Tasks for each thread, so that all end at about the same time. */
const TASKS_PER_THREAD = 32;
const PROGRESS_MS = 250;
/** Of the time that a key takes, what goes into writing it; the rest is sorting and counting. */
const SCATTER_SHARE = 0.35;

/** One of several machines, or of several runs: part 1..parts. */
export interface Part {
  readonly part: number;
  readonly parts: number;
}

export const WHOLE: Part = { part: 1, parts: 1 };

export interface Mining extends AsyncDisposable {
  readonly corpus: TokenCorpus;
  readonly options: CheckedOptions;
  readonly pool: Pool;
  /** How often each token occurs. */
  readonly totals: Float64Array;
  readonly tokens: number;
  readonly alphabet: Alphabet;
  readonly form: RecordForm;
  /** Memory that is taken whatever the plan. */
  readonly baseBytes: number;
  readonly workBytes: number;
  /** Of the corpus and of what decides which n-grams are counted; the order of shards is none of it. */
  readonly fingerprint: string;
  /** Counts by token of what follows a prefix; each thread's own counts stay in its memory. */
  countsAfter(prefix: readonly number[]): Promise<Float64Array>;
}

/** Starts the threads and counts the tokens. @throws {MinerError} SHARDS_INVALID, DATASET_CORRUPT, MINE_OPTION, MINE_MEMORY */
export async function openMining(corpus: TokenCorpus, options: CheckedOptions): Promise<Mining> {
  const { workers, memoryBytes, kernel, signal, onProgress } = options;
  const tokens = tokenCountOf(corpus);
  const regions = { workers, vocabSize: corpus.vocabSize, chunkBytes: corpus.blockBytes };
  const regionBytes = layOut({ ...regions, workBytes: 0 }).bytes;
  const baseBytes = process.memoryUsage.rss() + OWN_BYTES + workers * THREAD_BYTES + regionBytes;
  if (options.workBytes === undefined && memoryBytes - baseBytes < LEAST_WORK_BYTES) {
    const needed = Math.ceil((baseBytes + LEAST_WORK_BYTES) / 2 ** 20);
    const what = `${Math.floor(memoryBytes / 2 ** 20)} MiB are too little for ${workers} workers and a vocabulary of ${corpus.vocabSize}`;
    throw new MinerError('MINE_MEMORY', what, `Give at least ${needed} MiB, or fewer workers.`);
  }
  // 16 bytes a key, and scratch space of a bucket for each thread: more is never used.
  const spareBytes = options.workBytes ?? memoryBytes - baseBytes;
  const workBytes = Math.min(spareBytes, (tokens + 1) * 16 * (workers + 1), ADDRESS_SPACE - regionBytes);
  const layout = layOut({ ...regions, workBytes });
  const settings = (worker: number) => settingsOf(corpus, options, layout.workers[worker]);
  const pool = new Pool({ kernel, layout, shares: shareOut(chunksOf(corpus), workers), settings, signal });
  try {
    let counted: string | undefined;
    const countsAfter = async (prefix: readonly number[]) => {
      if (counted !== prefix.join()) {
        await pool.run(() => ({ kind: 'histogram', prefix, check: counted === undefined }));
        counted = prefix.join();
      }
      const sum = new Float64Array(corpus.vocabSize);
      for (const { counts } of layout.workers)
        new Float64Array(pool.buffer, counts, corpus.vocabSize).forEach((count, token) => {
          sum[token] += count;
        });
      return sum;
    };
    const report = () => onProgress?.({ stage: 'counting tokens', done: pool.progress, total: tokens });
    const totals = await everyWhile(report, () => countsAfter([]));
    return {
      corpus,
      options,
      pool,
      totals,
      tokens,
      alphabet: alphabetOf(totals, options),
      form: { minCount: options.minCount, tokenBytes: recordTokenBytes(corpus.vocabSize) },
      baseBytes,
      workBytes,
      fingerprint: fingerprintOf(corpus, options, totals),
      countsAfter,
      [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
    };
  } catch (error) {
    await pool[Symbol.asyncDispose]();
    throw error;
  }
}

function settingsOf(corpus: TokenCorpus, { maxLength, minCount }: CheckedOptions, own: WorkerRegions): KernelSettings {
  return {
    bits: 1,
    length: maxLength - 1,
    keyBytes: 8,
    minCount,
    tokenBytes: tokenBytes(corpus.dtype),
    vocabSize: corpus.vocabSize,
    boundary: corpus.boundary,
    symbols: 0,
    tokens: 0,
    scratch: 0,
    scratchBytes: 0,
    digits: own.digits,
    output: own.output,
    outputEnd: own.outputEnd,
    outputTokenBytes: recordTokenBytes(corpus.vocabSize),
  };
}

function fingerprintOf({ shards, dtype, vocabSize, boundary }: TokenCorpus, { maxLength, minCount }: CheckedOptions, totals: Float64Array) {
  const described = shards.map(({ tokens, blocks }) => sha256(JSON.stringify([tokens, blocks ?? []]))).sort();
  const counts = sha256(new Uint8Array(totals.buffer));
  return sha256(JSON.stringify({ dtype, vocabSize, boundary, maxLength, minCount, counts, described }));
}

/** The steps of a part, those of `stored` if they fit into memory. */
export async function planCounting(mining: Mining, part: Part, stored: StoredPlan | undefined): Promise<StoredPlan> {
  const { alphabet, options, totals, countsAfter } = mining;
  const { keys: capacity } = capacityOf(mining);
  if (stored?.steps.every((step) => step.keys <= capacity)) return stored;
  const [low, high] = symbolsOfPart(
    Array.from(alphabet.tokens, (token) => totals[token]),
    part,
  );
  const steps = await planSteps({ ...options, alphabet, capacity, low, high, countsAfter });
  return { fingerprint: fingerprintOfPart(mining, part), steps };
}

const capacityOf = ({ alphabet, options, workBytes }: Mining): Capacity =>
  capacityFor(Math.floor(workBytes / alphabet.keyBytes), options.workers);

export const fingerprintOfPart = ({ fingerprint }: Mining, { part, parts }: Part): string => `${fingerprint}:${part}/${parts}`;

/** What the plan takes. */
export function describePlan(mining: Mining, { steps }: StoredPlan, finished: number): MiningPlan {
  const { tokens, options, alphabet, baseBytes, form } = mining;
  const { workers, kernel, maxLength, minCount } = options;
  const keys = steps.reduce((max, step) => Math.max(max, step.keys), 0);
  const most = steps.reduce((sum, step) => sum + step.keys, 0);
  return {
    tokens,
    workers,
    kernel,
    passes: steps.length,
    finished,
    peakBytes: baseBytes + (keys + workers * capacityOf(mining).scratch) * alphabet.keyBytes,
    // Records of n-grams that occur as seldom as they may; those of the step at hand are there twice.
    diskBytes: Math.ceil(((most + keys) / minCount) * (maxLength - 1) * (1 + form.tokenBytes)),
  };
}

/** Counts what is not yet counted. @returns the records of all steps, in order */
export async function countSteps(mining: Mining, plan: StoredPlan, partial: PartialWork): Promise<RecordFile[]> {
  const { pool, options, corpus, alphabet, tokens } = mining;
  const { buffer, layout } = pool;
  new Uint32Array(buffer, layout.symbols, corpus.vocabSize).fill(2 ** alphabet.bits - 1);
  alphabet.tokens.forEach((token, symbol) => {
    new Uint32Array(buffer, layout.symbols, corpus.vocabSize)[token] = symbol;
    new Uint32Array(buffer, layout.tokens, corpus.vocabSize)[symbol] = token;
  });
  const scratchBytes = capacityOf(mining).scratch * alphabet.keyBytes;
  await pool.run((worker) => ({
    kind: 'configure',
    settings: {
      ...settingsOf(corpus, options, layout.workers[worker]),
      ...{ bits: alphabet.bits, keyBytes: alphabet.keyBytes },
      ...{ symbols: layout.symbols, tokens: layout.tokens },
      ...{ scratch: layout.work + worker * scratchBytes, scratchBytes },
    },
  }));
  const arena = layout.work + options.workers * scratchBytes;
  const all = plan.steps.reduce((sum, step) => sum + step.keys, 0);
  const report = (keys: number) =>
    options.onProgress?.({ stage: 'counting n-grams', done: Math.floor((keys / Math.max(1, all)) * tokens), total: tokens });
  const files: RecordFile[] = [];
  let done = 0;
  for (const [i, step] of plan.steps.entries()) {
    const file =
      (await partial.finished(i, plan.fingerprint)) ??
      (await countStep(mining, { plan, step, i, arena, partial }, (share) => report(done + share * step.keys)));
    files.push(file);
    done += step.keys;
    report(done);
  }
  return files;
}

interface StepAtHand {
  readonly plan: StoredPlan;
  readonly step: Step;
  readonly i: number;
  /** Where keys may lie. */
  readonly arena: number;
  readonly partial: PartialWork;
}

async function countStep(
  mining: Mining,
  { plan, step, i, arena, partial }: StepAtHand,
  report: (share: number) => void,
): Promise<RecordFile> {
  const { pool, options, tokens, form, alphabet, countsAfter } = mining;
  const { prefix, low, high, keys } = step;
  const counts = await countsAfter(prefix);
  const head = step.headings.map((heading) => encodeRecord(heading, form));
  if (prefix.length === options.maxLength - 1) {
    const length = options.maxLength;
    for (const token of alphabet.tokens)
      if (counts[token] >= options.minCount) head.push(encodeRecord({ length, token, count: counts[token] }, form));
    return partial.finish(i, plan.fingerprint, head, []);
  }
  const places = placeKeys(mining, step, arena);
  await everyWhile(
    () => report((pool.progress / tokens) * SCATTER_SHARE),
    () => pool.run(() => ({ kind: 'scatter', prefix, low, high })),
  );
  expectFilled(mining, step, places);
  const tasks = tasksOf(counts, { alphabet, low, high, keys, tasks: options.workers * TASKS_PER_THREAD });
  const segments = await everyWhile(
    () => report(SCATTER_SHARE + (pool.progress / keys) * (1 - SCATTER_SHARE)),
    () => pool.run((worker) => ({ kind: 'count', prefix, tasks, path: partial.outputOf(worker) })),
  );
  segments.sort((a, b) => tasks[a.task].low - tasks[b.task].low);
  return partial.finish(i, plan.fingerprint, head, segments);
}

/** Gives every thread its places in every bucket, bucket after bucket. @returns by symbol and thread, where the keys of each end */
function placeKeys({ pool, alphabet, corpus }: Mining, { low, high }: Step, arena: number): Uint32Array {
  const { buffer, layout } = pool;
  const starts = new Uint32Array(buffer, layout.starts, corpus.vocabSize + 1);
  const threads = layout.workers.map(({ counts, places }) => ({
    counts: new Float64Array(buffer, counts, corpus.vocabSize),
    places: new Uint32Array(buffer, places, corpus.vocabSize),
  }));
  const ends = new Uint32Array((high - low) * threads.length);
  let next = arena;
  for (let symbol = low; symbol < high; symbol++) {
    starts[symbol] = next;
    threads.forEach(({ counts, places }, worker) => {
      places[symbol] = next;
      next += counts[alphabet.tokens[symbol]] * alphabet.keyBytes;
      ends[(symbol - low) * threads.length + worker] = next;
    });
  }
  starts[high] = next;
  return ends;
}

/** Every key has come, and to its place. */
function expectFilled({ pool, corpus }: Mining, { low, high }: Step, ends: Uint32Array): void {
  const threads = pool.layout.workers.map(({ places }) => new Uint32Array(pool.buffer, places, corpus.vocabSize));
  for (let symbol = low; symbol < high; symbol++)
    for (const [worker, places] of threads.entries())
      if (places[symbol] !== ends[(symbol - low) * threads.length + worker])
        throw new MinerError(
          'DATASET_CORRUPT',
          'a shard has changed while it was mined',
          'Let nothing write to the data, then mine again.',
        );
}

/** Buckets side by side, in tasks of about the same size; large ones come first, so that no thread has one left at the end. */
function tasksOf(
  counts: Float64Array,
  { alphabet, low, high, keys, tasks }: { alphabet: Alphabet; low: number; high: number; keys: number; tasks: number },
): Task[] {
  const found: (Task & { keys: number })[] = [];
  let start = low;
  let size = 0;
  for (let symbol = low; symbol < high; symbol++) {
    size += counts[alphabet.tokens[symbol]];
    if (size < keys / tasks && symbol < high - 1) continue;
    found.push({ low: start, high: symbol + 1, keys: size });
    start = symbol + 1;
    size = 0;
  }
  return found.sort((a, b) => b.keys - a.keys);
}

/** Reports now and then while work is under way. */
async function everyWhile<T>(report: () => void, work: () => Promise<T>): Promise<T> {
  const pulse = setInterval(report, PROGRESS_MS);
  try {
    return await work();
  } finally {
    clearInterval(pulse);
  }
}
