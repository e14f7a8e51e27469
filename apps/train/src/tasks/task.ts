/** Tasks of choices from plain JSONL: the form of each line says what it is. (HellaSwag, ARC, PIQA, BLiMP) */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { withArtifactErrors } from '@sconelm/artifact';
import { z } from 'zod';
import { TrainError } from '../errors.js';

/** What may follow a context, and which of it is right. */
export interface TaskItem {
  readonly choices: readonly { readonly context: string; readonly continuation: string }[];
  readonly answer: number;
  /** The line as it was. */
  readonly doc: unknown;
}

export interface Task {
  readonly name: string;
  readonly items: readonly TaskItem[];
}

type Parsed = Pick<TaskItem, 'choices' | 'answer'>;

const after = (context: string, continuations: readonly string[]) => continuations.map((text) => ({ context, continuation: ` ${text}` }));

/** Questions are asked as lm-evaluation-harness asks them. */
const forms: readonly z.ZodType<Parsed>[] = [
  // BLiMP: two whole sentences, the first is the good one.
  z.object({ sentence_good: z.string(), sentence_bad: z.string() }).transform(({ sentence_good, sentence_bad }) => ({
    choices: [sentence_good, sentence_bad].map((continuation) => ({ context: '', continuation })),
    answer: 0,
  })),
  z
    .object({ ctx: z.string(), endings: z.array(z.string()).min(2), label: z.coerce.number().int().nonnegative() })
    .transform(({ ctx, endings, label }) => ({ choices: after(ctx, endings), answer: label })),
  z
    .object({ goal: z.string(), sol1: z.string(), sol2: z.string(), label: z.coerce.number().int().min(0).max(1) })
    .transform(({ goal, sol1, sol2, label }) => ({ choices: after(`Question: ${goal}\nAnswer:`, [sol1, sol2]), answer: label })),
  z
    .object({
      question: z.string(),
      choices: z.object({ text: z.array(z.string()).min(2), label: z.array(z.string()) }),
      answerKey: z.string(),
    })
    .transform(({ question, choices, answerKey }) => ({
      choices: after(`Question: ${question}\nAnswer:`, choices.text),
      answer: choices.label.indexOf(answerKey),
    })),
];

/**
 * The items of a .jsonl or .jsonl.gz; labels that lie in a file of their own, one a line, as PIQA's do, may be given too.
 * @throws {TrainError} TRAIN_TASK: a line of another form, naming it; {ArtifactError} missing
 */
export async function readTask(file: string, { labels, limit = Infinity }: { labels?: string; limit?: number } = {}): Promise<Task> {
  const told = labels === undefined ? undefined : (await textOf(labels)).trim().split('\n');
  const lines = (await textOf(file)).split('\n').filter((line) => line.trim() !== '');
  const items = lines.slice(0, limit).map((line, i) => itemOf(line, `${file}, line ${i + 1}`, told?.[i]));
  if (items.length === 0) throw new TrainError('TRAIN_TASK', `${file} has no line`, 'Give a file of JSON lines.');
  return { name: path.basename(file).replace(/\.jsonl(\.gz)?$/, ''), items };
}

async function textOf(file: string): Promise<string> {
  const bytes = await withArtifactErrors(file, () => readFile(file));
  return (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
}

function itemOf(line: string, where: string, label: string | undefined): TaskItem {
  const remedy =
    'Give lines of BLiMP (sentence_good, sentence_bad), HellaSwag (ctx, endings, label), PIQA (goal, sol1, sol2, label) or ARC.';
  let doc: unknown;
  try {
    doc = JSON.parse(line);
  } catch (cause) {
    throw new TrainError('TRAIN_TASK', `${where} is no JSON`, remedy, cause);
  }
  const labelled = label === undefined || typeof doc !== 'object' ? doc : { ...doc, label };
  for (const form of forms) {
    const { success, data } = form.safeParse(labelled);
    if (!success) continue;
    if (data.choices[data.answer] === undefined) throw new TrainError('TRAIN_TASK', `${where}: there is no choice ${data.answer}`, remedy);
    return { ...data, doc: labelled };
  }
  throw new TrainError('TRAIN_TASK', `${where} has none of the known forms`, remedy);
}
