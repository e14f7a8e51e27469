/** Tasks of choices: their forms, scores against logits taken one token at a time, and the shape of results. */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { DecodeSession } from '@sconelm/decoder';
import { createModel } from '@sconelm/fgram-model';
import { openDevice } from '@sconelm/tensor-webgpu';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { harnessResults, harnessSamples, scoreTask } from './score.js';
import { taskRows } from './score-run.js';
import { readTask } from './task.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'sconelm-tasks-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function taskOf(name: string, lines: readonly unknown[], labels?: string) {
  const file = path.join(folder, name);
  const text = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n');
  await writeFile(file, name.endsWith('.gz') ? gzipSync(text) : text);
  if (labels === undefined) return readTask(file);
  await writeFile(`${file}.lst`, labels);
  return readTask(file, { labels: `${file}.lst` });
}

describe('tasks', () => {
  it('are read in the forms of BLiMP, HellaSwag, PIQA and ARC', async () => {
    const { name, items } = await taskOf('mixed.jsonl.gz', [
      { sentence_good: 'a cat', sentence_bad: 'an cat' },
      { ctx: 'He', endings: ['runs', 'sings'], label: '1' },
      { goal: 'Cut', sol1: 'knife', sol2: 'spoon', label: 0 },
      { question: 'Why?', choices: { text: ['so', 'not'], label: ['A', 'B'] }, answerKey: 'B' },
    ]);
    expect(name).toBe('mixed');
    expect(items.map(({ answer }) => answer)).toEqual([0, 1, 0, 1]);
    expect(items.map(({ choices }) => choices[1])).toEqual([
      { context: '', continuation: 'an cat' },
      { context: 'He', continuation: ' sings' },
      { context: 'Question: Cut\nAnswer:', continuation: ' spoon' },
      { context: 'Question: Why?\nAnswer:', continuation: ' not' },
    ]);
    const piqa = await taskOf('piqa.jsonl', [{ goal: 'g', sol1: 'a', sol2: 'b' }], '1\n');
    expect(piqa.items[0].answer).toBe(1);
  });

  it('of other forms are refused with the line', async () => {
    const refused = { code: 'TRAIN_TASK', message: expect.stringContaining('line 2') };
    const good = { ctx: 'He', endings: ['runs', 'sings'], label: 1 };
    for (const bad of ['{', '{"a": 1}', '7', { ...good, label: 2 }])
      await expect(taskOf('bad.jsonl', [good, bad])).rejects.toMatchObject(refused);
    await expect(taskOf('empty.jsonl', [])).rejects.toMatchObject({ code: 'TRAIN_TASK' });
  });

  it('are scored as logits taken one token at a time say', async () => {
    using device = await openDevice();
    const decoder = { vocabSize: 40, contextLength: 16, layers: 1, width: 16, heads: 2 };
    using model = createModel(device, { decoder }, { seed: 4, scale: 0.5 });
    // A token per letter; " x" is one token, so a continuation never joins its context's last token.
    const tokenizer = {
      endOfText: 0,
      encode: (text: string) => Array.from(text.replace(/ /g, ''), (letter) => (letter.charCodeAt(0) % 38) + 1),
    };
    const task = await taskOf('scored.jsonl', [
      { ctx: 'abc', endings: ['de', 'fghi'], label: 0 },
      { ctx: 'much longer than the context of this model', endings: ['x', 'yz'], label: 1 },
      { sentence_good: 'good', sentence_bad: 'bad' },
    ]);
    const scored = await scoreTask(device, model, task, { tokenizer });
    using session = new DecodeSession(device, decoder, model.parameters);
    for (const { item, logLikelihoods, acc, acc_norm } of scored) {
      const expected: number[] = [];
      for (const { context, continuation } of item.choices) {
        const tokens = [0, ...tokenizer.encode(context + continuation)];
        const kept = tokens.slice(Math.max(0, tokens.length - 17));
        session.reset();
        let sum = 0;
        for (let i = 0; i + 1 < kept.length; i++) {
          const logits = await session.append({ tokens: Int32Array.of(kept[i]), rows: new Float32Array(16) });
          const peak = Math.max(...logits);
          const logZ = peak + Math.log(logits.reduce((total, value) => total + Math.exp(value - peak), 0));
          if (i + 1 >= kept.length - tokenizer.encode(continuation).length) sum += logits[kept[i + 1]] - logZ;
        }
        expected.push(sum);
      }
      expected.forEach((value, i) => {
        expect(logLikelihoods[i]).toBeCloseTo(value, 3);
      });
      const best = (values: number[]) => values.indexOf(Math.max(...values));
      expect(acc).toBe(best(expected) === item.answer ? 1 : 0);
      expect(acc_norm).toBe(best(expected.map((value, i) => value / item.choices[i].continuation.length)) === item.answer ? 1 : 0);
    }
  });

  it('give results in the shape of lm-evaluation-harness', () => {
    const item = { choices: [0, 1].map((n) => ({ context: 'c', continuation: ` ${n}` })), answer: 0, doc: { a: 1 } };
    const scored = [1, 1, 0, 1].map((acc) => ({ item, logLikelihoods: [-1, -2], acc: acc as 0 | 1, acc_norm: 1 as const }));
    const found = harnessResults(new Map([['blimp', scored]]), { model: 'm' });
    expect(found.results.blimp).toEqual({
      alias: 'blimp',
      'acc,none': 0.75,
      'acc_stderr,none': expect.closeTo(0.25, 9), // √(3/16 · 4/3 / 4)
      'acc_norm,none': 1,
      'acc_norm_stderr,none': 0,
    });
    expect(found['n-samples']).toEqual({ blimp: { original: 4, effective: 4 } });
    expect(taskRows(found)[1]).toEqual(['blimp', '4', '0.7500', '0.2500', '1.0000', '0.0000']);
    const [first] = harnessSamples(scored).split('\n');
    expect(JSON.parse(first)).toMatchObject({
      doc_id: 0,
      doc: { a: 1 },
      target: 0,
      arguments: [
        ['c', ' 0'],
        ['c', ' 1'],
      ],
      acc: 1,
    });
  });

  const real = new URL('../../../../../shared/data/eval/', import.meta.url);
  it('are read from real files', async (context) => {
    if (!existsSync(real)) return context.skip('the evaluation files are not on this machine');
    const at = (file: string) => new URL(file, real).pathname;
    const hellaswag = await readTask(at('hellaswag/hellaswag_val.jsonl.gz'), { limit: 500 });
    expect(hellaswag.items.every(({ choices }) => choices.length === 4)).toBe(true);
    const piqa = await readTask(at('piqa/valid.jsonl.gz'), { labels: at('piqa/valid-labels.lst') });
    expect(piqa.items.length).toBe(1838);
    expect(piqa.items.reduce((sum, { answer }) => sum + answer, 0)).toBe(
      (await readFile(at('piqa/valid-labels.lst'), 'utf8')).split('\n').filter((label) => label === '1').length,
    );
  });
});
