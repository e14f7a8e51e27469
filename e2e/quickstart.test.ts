/** The quickstart through its command, interrupted twice, and inference with what it leaves. */
import { readFileSync, truncateSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { commandsInFolder } from './command.js';

const { folder, command } = commandsInFolder();

it('the quickstart goes on after Ctrl-C, writes table, summary and page, does nothing twice, and leaves a run that inference uses', async () => {
  const args = ['quickstart', '--budget', '0.1', '--directory', 'runs/quickstart'];
  for (const interruptAt of [/^ {2}SCONE: /m, /^ {2}precomputing rows: /m]) {
    const interrupted = await command('train', args, { interruptAt });
    expect(interrupted).toMatchObject({ code: 130, err: expect.stringContaining('interrupted') });
  }
  const { code, out, err } = await command('train', args);
  expect(err).not.toContain('training a tokenizer');
  expect({ code, out }).toMatchObject({ code: 0, out: expect.stringContaining('held-out perplexity') });
  const run = path.join(folder, 'runs/quickstart');
  const summary = JSON.parse(readFileSync(path.join(run, 'summary.json'), 'utf8'));
  for (const model of ['baseline', 'scone', 'larger']) {
    const { perplexity, loss, bitsPerByte, flopsPerToken, acceleratorParams, trainingFlops, msPerToken } = summary[model];
    expect(Math.exp(loss)).toBeCloseTo(perplexity, 6);
    for (const value of [perplexity, bitsPerByte, flopsPerToken, acceleratorParams, trainingFlops, msPerToken])
      expect(value).toBeGreaterThan(0);
  }
  expect(summary.scone.flopsPerToken).toBe(summary.baseline.flopsPerToken);
  expect(summary.scone.rows).toBe(100_000);
  expect(summary.scone.hitRate).toBeGreaterThan(0.5);
  const page = readFileSync(path.join(run, 'report.html'), 'utf8');
  expect(page).toContain('<svg');
  expect(page).not.toMatch(/https?:/);

  const again = await command('train', [...args, '--json']);
  const { seconds: _, ...repeated } = JSON.parse(again.out);
  for (const model of ['baseline', 'scone', 'larger']) expect(repeated[model].loss).toBe(summary[model].loss);
  expect(again.err).not.toContain('precomputing');

  // Rows precomputed in one go are those that were interrupted and resumed.
  expect(await command('train', ['precompute', '--run', 'runs/quickstart/scone', '--store', 'file:whole'])).toMatchObject({ code: 0 });
  const rows = path.join(run, 'scone/rows/rows-00000.bin');
  expect(readFileSync(path.join(folder, 'whole/rows-00000.bin')).equals(readFileSync(rows))).toBe(true);

  const generate = ['generate', '--run', 'runs/quickstart/scone', '--prompt', 'The people of the United States', '--max-tokens', '12'];
  const [text, json] = [await command('infer', generate), await command('infer', [...generate, '--json'])];
  expect(text).toMatchObject({ code: 0, out: expect.stringMatching(/^The people of the United States./) });
  expect(JSON.parse(json.out)).toMatchObject({ text: text.out.slice(0, -1), tokens: 12 });
  const long = ['generate', '--run', 'runs/quickstart/scone', '--prompt', 'of the '.repeat(200)];
  expect(await command('infer', long)).toMatchObject({ code: 1, err: expect.stringContaining('Use a shorter prompt') });

  truncateSync(rows, 1000);
  expect(await command('train', args)).toMatchObject({ code: 1, err: expect.stringContaining('rows-00000.bin has 1000 bytes') });
});
