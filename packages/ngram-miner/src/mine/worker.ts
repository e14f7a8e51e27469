/** A mining thread: it does one job after the other on its share of the chunks, or on tasks that it takes while there are any. */
import { ftruncateSync, openSync, writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { MinerError } from '../errors.js';
import type { WasmMemory } from '../web-assembly.js';
import { type Chunk, readChunk } from './chunks.js';
import { createKernel, type KernelSettings } from './kernel/kernel.js';
import type { Layout } from './layout.js';

export interface MiningWorkerData {
  readonly memory: WasmMemory | SharedArrayBuffer;
  readonly layout: Layout;
  readonly worker: number;
  readonly chunks: readonly Chunk[];
  /** Settings that hold from the start; `configure` gives the others. */
  readonly settings: KernelSettings;
}

/** Symbols low..high, whose buckets lie side by side. */
export interface Task {
  readonly low: number;
  readonly high: number;
}

export type MiningJob =
  | { readonly kind: 'configure'; readonly settings: KernelSettings }
  /** Counts the tokens after a prefix. */
  | { readonly kind: 'histogram'; readonly prefix: readonly number[]; readonly check: boolean }
  | { readonly kind: 'scatter'; readonly prefix: readonly number[]; readonly low: number; readonly high: number }
  /** Writes records to `path`, task by task. */
  | { readonly kind: 'count'; readonly prefix: readonly number[]; readonly tasks: readonly Task[]; readonly path: string };

/** Where the records of a task are. */
export interface Segment {
  readonly task: number;
  readonly path: string;
  readonly offset: number;
  readonly bytes: number;
}

export interface MiningFailure {
  readonly code?: string;
  readonly message: string;
  readonly remedy?: string;
  readonly stack?: string;
}

export type MiningReply = { readonly segments: readonly Segment[] } | { readonly failure: MiningFailure };

const { memory, layout, worker, chunks, settings: initial } = workerData as MiningWorkerData;
const buffer = memory instanceof SharedArrayBuffer ? memory : memory.buffer;
const bytes = new Uint8Array(buffer);
const own = layout.workers[worker];
const progress = new Float64Array(buffer, own.progress, 1);
const nextTask = new Int32Array(buffer, layout.nextTask, 1);
const output = { file: -1, path: '', size: 0 };

const kernel = createKernel(memory, flush);
let settings = initial;
kernel.configure(settings);

function flush(): void {
  const size = kernel.outputSize();
  for (let done = 0; done < size; ) done += writeSync(output.file, bytes, own.output + done, size - done, output.size + done);
  output.size += size;
  kernel.emptyOutput();
}

function openOutput(path: string): void {
  if (output.path !== path) {
    output.file = openSync(path, 'w');
    output.path = path;
  }
  ftruncateSync(output.file, 0);
  output.size = 0;
}

function writePrefix(prefix: readonly number[]): void {
  new Uint32Array(buffer, own.prefix, prefix.length).set(prefix);
}

function* views(prefix: readonly number[], after: number, check: boolean) {
  for (const chunk of chunks) {
    const { tokenBytes } = settings;
    yield { chunk, view: readChunk(chunk, { memory: bytes, address: own.chunk, tokenBytes, before: prefix.length, after, check }) };
    progress[0] += chunk.to - chunk.from;
  }
}

function tokenAt(address: number, index: number): number {
  return settings.tokenBytes === 2 ? new Uint16Array(buffer, address)[index] : new Uint32Array(buffer, address)[index];
}

function outsideVocabulary({ path, from }: Chunk, index: number, token: number): MinerError {
  const { tokenBytes, vocabSize } = settings;
  return new MinerError(
    'SHARDS_INVALID',
    `${path}, byte ${(from + index) * tokenBytes}: token ${token} is not below ${vocabSize}`,
    'Give the vocabulary, dtype and tokenizer that the file was written with.',
  );
}

function run(job: MiningJob): Segment[] {
  const segments: Segment[] = [];
  progress[0] = 0;
  if (job.kind === 'configure') {
    settings = job.settings;
    kernel.configure(settings);
  } else if (job.kind === 'histogram') {
    writePrefix(job.prefix);
    new Float64Array(buffer, own.counts, settings.vocabSize).fill(0);
    for (const { chunk, view } of views(job.prefix, 0, job.check)) {
      const wrong = kernel.histogram(view, own.prefix, job.prefix.length, own.counts);
      if (wrong >= 0) throw outsideVocabulary(chunk, wrong - view.from, tokenAt(view.address, wrong));
    }
  } else if (job.kind === 'scatter') {
    writePrefix(job.prefix);
    for (const { view } of views(job.prefix, settings.length, false))
      kernel.scatter(view, own.prefix, job.prefix.length, job.low, job.high, own.places);
  } else {
    openOutput(job.path);
    const starts = new Uint32Array(buffer, layout.starts, settings.vocabSize + 1);
    for (let task = Atomics.add(nextTask, 0, 1); task < job.tasks.length; task = Atomics.add(nextTask, 0, 1)) {
      const { low, high } = job.tasks[task];
      const offset = output.size;
      for (let symbol = low; symbol < high; symbol++) {
        kernel.count(symbol, starts[symbol], starts[symbol + 1], job.prefix.length);
        progress[0] += (starts[symbol + 1] - starts[symbol]) / settings.keyBytes;
      }
      flush();
      segments.push({ task, path: job.path, offset, bytes: output.size - offset });
    }
  }
  return segments;
}

parentPort?.on('message', (job: MiningJob) => {
  try {
    parentPort?.postMessage({ segments: run(job) } satisfies MiningReply);
  } catch (error) {
    const { message, stack, code, remedy } = error as Error & { code?: string; remedy?: string };
    const failure = { message, ...(stack && { stack }), ...(code && { code }), ...(remedy && { remedy }) };
    parentPort?.postMessage({ failure } satisfies MiningReply);
  }
});
