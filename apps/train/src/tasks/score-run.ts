/** A run's answers to tasks, kept in its folder: results.json, and a line per item for each task. */
import path from 'node:path';
import { publishBytes } from '@sconelm/artifact';
import type { Progress } from '@sconelm/cli-kit';
import type { Model, RowSource } from '@sconelm/fgram-model';
import type { FgramSet, Tokenizer } from '@sconelm/ngram-miner';
import type { Device } from '@sconelm/tensor-webgpu';
import { harnessResults, harnessSamples, type ScoredItem, scoreTask, type TaskResults } from './score.js';
import type { Task } from './task.js';

export interface ScoreRunOptions {
  /** The run's folder. */
  readonly directory: string;
  readonly model: Model;
  readonly tasks: readonly Task[];
  readonly tokenizer: Tokenizer;
  readonly set: FgramSet | undefined;
  /** Of a plain decoder none. */
  readonly rows: RowSource | 'model' | undefined;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

export async function scoreRun(device: Device, options: ScoreRunOptions): Promise<TaskResults> {
  const { directory, model, tasks, tokenizer, set, rows, progress, signal } = options;
  const folder = path.join(directory, 'tasks');
  const scored = new Map<string, readonly ScoredItem[]>();
  for (const task of tasks) {
    const items = await scoreTask(device, model, task, {
      ...{ tokenizer, signal },
      ...(set === undefined ? {} : { matcher: set.matcher(tokenizer.endOfText) }),
      ...(rows === undefined ? {} : { rows }),
      onProgress: (done, total) => progress.update(task.name, { done, total, unit: 'tokens' }),
    });
    scored.set(task.name, items);
    await publishBytes(path.join(folder, `samples_${task.name}.jsonl`), harnessSamples(items));
  }
  const results = harnessResults(scored, { model: 'sconelm', model_args: directory, date: Date.now() / 1000 });
  await publishBytes(path.join(folder, 'results.json'), `${JSON.stringify(results, null, 2)}\n`);
  return results;
}

export function taskRows({ results, 'n-samples': samples }: TaskResults): string[][] {
  const figure = (value: string | number) => Number(value).toFixed(4);
  return [
    ['task', 'items', 'acc', '±', 'acc_norm', '±'],
    ...Object.entries(results).map(([name, found]) => [
      name,
      String(samples[name].original),
      ...['acc,none', 'acc_stderr,none', 'acc_norm,none', 'acc_norm_stderr,none'].map((key) => figure(found[key])),
    ]),
  ];
}
