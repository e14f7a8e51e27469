/** Tasks by log-likelihood: what a model finds the likeliest continuation. Results have the shape of lm-evaluation-harness. */
import { type EvaluateOptions, type EvaluationWindow, evaluate, type Model } from '@sconelm/fgram-model';
import type { Device } from '@sconelm/tensor-webgpu';
import type { Task, TaskItem } from './task.js';

export interface ScoreOptions extends Pick<EvaluateOptions, 'matcher' | 'rows' | 'signal'> {
  readonly tokenizer: { encode(text: string): ArrayLike<number>; readonly endOfText: number };
  readonly onProgress?: (done: number, total: number) => void;
}

export interface ScoredItem {
  readonly item: TaskItem;
  /** Of each choice, nats: log p(continuation | context). */
  readonly logLikelihoods: readonly number[];
  /** Whether the likeliest is right: as it is, and per byte of the continuation. */
  readonly acc: 0 | 1;
  readonly acc_norm: 0 | 1;
}

/**
 * Each continuation follows its context in a window of its own, which begins with the token that opens a document. What is longer than the
 * model's context is cut at its start, but for the continuation's own tokens beyond it, whose likelihood is left out.
 */
export async function scoreTask(device: Device, model: Model, { items }: Task, options: ScoreOptions): Promise<ScoredItem[]> {
  const { tokenizer, matcher, rows, signal, onProgress } = options;
  const T = model.config.decoder.contextLength;
  const tokens: number[] = [];
  const windows: EvaluationWindow[] = [];
  const windowOf: number[] = [];
  for (const { choices } of items) {
    for (const { context, continuation } of choices) {
      const before = [tokenizer.endOfText, ...Array.from(tokenizer.encode(context))];
      const whole = [tokenizer.endOfText, ...Array.from(tokenizer.encode(context + continuation))];
      // Where the continuation's first letter joins the context's last token, that token belongs to the continuation.
      const shared = before.findIndex((token, i) => token !== whole[i]);
      const from = Math.max(1, Math.min(shared < 0 ? before.length : shared, whole.length - 1));
      const cut = Math.max(0, whole.length - (T + 1));
      const kept = whole.slice(cut);
      windows.push({ start: tokens.length, length: kept.length - 1, from: Math.max(0, from - cut - 1) });
      for (let i = 0; i < kept.length; i++) windowOf.push(windows.length - 1);
      tokens.push(...kept);
    }
  }
  const sums = new Float64Array(windows.length);
  await evaluate(device, model, tokens, {
    windows,
    visit: ({ position, loss }) => {
      sums[windowOf[position]] -= loss;
    },
    ...(matcher === undefined ? {} : { matcher }),
    ...(rows === undefined ? {} : { rows }),
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress }),
  });
  let next = 0;
  return items.map((item) => {
    const logLikelihoods = item.choices.map(() => sums[next++]);
    const perByte = logLikelihoods.map((value, i) => value / Math.max(1, Buffer.byteLength(item.choices[i].continuation)));
    const isRight = (values: readonly number[]) => (values.indexOf(Math.max(...values)) === item.answer ? 1 : 0);
    return { item, logLikelihoods, acc: isRight(logLikelihoods), acc_norm: isRight(perByte) };
  });
}

/** Mean, and its standard error from the sample's deviation. */
function meanAndError(values: readonly number[]): [mean: number, error: number] {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length - 1);
  return [mean, Math.sqrt(variance / values.length)];
}

export interface TaskResults {
  readonly results: Readonly<Record<string, Readonly<Record<string, string | number>>>>;
  readonly 'n-samples': Readonly<Record<string, { readonly original: number; readonly effective: number }>>;
  readonly higher_is_better: Readonly<Record<string, { readonly acc: true; readonly acc_norm: true }>>;
  readonly config: Readonly<Record<string, unknown>>;
}

/** The results of several tasks as lm-evaluation-harness writes them. */
export function harnessResults(scored: ReadonlyMap<string, readonly ScoredItem[]>, config: Readonly<Record<string, unknown>>): TaskResults {
  const each = <Value>(of: (items: readonly ScoredItem[], name: string) => Value) =>
    Object.fromEntries([...scored].map(([name, items]) => [name, of(items, name)]));
  return {
    results: each((items, alias) => {
      const [acc, accError] = meanAndError(items.map((item) => item.acc));
      const [norm, normError] = meanAndError(items.map((item) => item.acc_norm));
      return { alias, 'acc,none': acc, 'acc_stderr,none': accError, 'acc_norm,none': norm, 'acc_norm_stderr,none': normError };
    }),
    'n-samples': each(({ length }) => ({ original: length, effective: length })),
    higher_is_better: each(() => ({ acc: true, acc_norm: true })),
    config,
  };
}

/** One line per item, as lm-evaluation-harness logs samples. */
export function harnessSamples(items: readonly ScoredItem[]): string {
  return items
    .map(({ item: { doc, choices, answer }, logLikelihoods, acc, acc_norm }, doc_id) => {
      const resps = logLikelihoods.map((value) => [[String(value), 'False']]);
      return `${JSON.stringify({
        ...{ doc_id, doc, target: answer, arguments: choices.map(({ context, continuation }) => [context, continuation]), resps },
        ...{ filtered_resps: resps.map(([response]) => response), acc, acc_norm },
      })}\n`;
    })
    .join('');
}
