/** The real commands, in processes of their own, on real input. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), 'sconelm-e2e-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function command(app: 'train' | 'infer', args: readonly string[], interruptAt = ''): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [path.join(ROOT, `apps/${app}/dist/main.js`), ...args], { cwd: folder });
    let [out, err] = ['', ''];
    child.stdout.on('data', (data: Buffer) => {
      out += data;
    });
    child.stderr.on('data', (data: Buffer) => {
      const before = err;
      err += data;
      if (interruptAt !== '' && err.includes(interruptAt) && !before.includes(interruptAt)) child.kill('SIGINT');
    });
    child.on('close', (code) => resolve({ code, out, err }));
  });
}

const train = (args: readonly string[], { interruptAt = '' } = {}) => command('train', args, interruptAt);

describe('scone-train quickstart', () => {
  const args = ['quickstart', '--budget', '0.1', '--directory', 'runs/quickstart'];

  it('goes on after Ctrl-C, writes table, summary and page, and does nothing twice', async () => {
    const interrupted = await train(args, { interruptAt: 'training SCONE' });
    expect(interrupted).toMatchObject({ code: 130, err: expect.stringContaining('interrupted') });
    const { code, out, err } = await train(args);
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

    const again = await train([...args, '--json']);
    const { seconds: _, ...repeated } = JSON.parse(again.out);
    for (const model of ['baseline', 'scone', 'larger']) expect(repeated[model].loss).toBe(summary[model].loss);
    expect(again.err).not.toContain('precomputing');

    const generate = ['generate', '--run', run, '--prompt', 'The people of the United States', '--max-tokens', '12', '--json'];
    const [first, second] = [await command('infer', generate), await command('infer', generate)];
    expect(first).toMatchObject({ code: 0, out: expect.stringContaining('The people of the United States') });
    expect(JSON.parse(second.out).text).toBe(JSON.parse(first.out).text);
    const long = ['generate', '--run', run, '--prompt', 'of the '.repeat(200)];
    expect(await command('infer', long)).toMatchObject({ code: 1, err: expect.stringContaining('Use a shorter prompt') });
    expect(await command('infer', ['generate', '--run', 'nowhere'])).toMatchObject({
      code: 1,
      err: expect.stringContaining('does not exist'),
    });

    const rows = path.join(run, 'rows/rows.bin');
    truncateSync(rows, 1000);
    expect(await train(args)).toMatchObject({ code: 1, err: expect.stringContaining('rows.bin has 1000 bytes') });
  });
});

describe('scone-train prepare and mine', () => {
  it('work on a text file of one’s own', async () => {
    writeFileSync(path.join(folder, 'own.txt'), 'the cat sat on the mat, and the dog sat on the cat. '.repeat(200));
    const prepared = await train(['prepare', '--text', '["own.txt"]', '--directory', 'own', '--vocab-size', '280', '--json']);
    expect(prepared).toMatchObject({ code: 0 });
    expect(JSON.parse(prepared.out).train.bytes + JSON.parse(prepared.out).heldout.bytes).toBe(52 * 200);
    const mined = await train(['mine', '--data', 'own', '--directory', 'own-fgrams', '--json']);
    expect(JSON.parse(mined.out).size).toBeGreaterThan(10);
    expect(existsSync(path.join(folder, 'own-fgrams/fgrams.bin'))).toBe(true);
    writeFileSync(path.join(folder, 'own/train-00000.bin'), 'damaged');
    expect(await train(['mine', '--data', 'own'])).toMatchObject({ code: 1, err: expect.stringContaining('Prepare the data again') });
  });

  it('say what is wrong with bad input, with exit code 1 or 2, and leave nothing behind', async () => {
    writeFileSync(path.join(folder, 'empty.txt'), '');
    writeFileSync(path.join(folder, 'binary.txt'), new Uint8Array([65, 0, 66]));
    writeFileSync(path.join(folder, 'latin1.txt'), new Uint8Array([65, 0xe9, 66]));
    writeFileSync(path.join(folder, 'bad.jsonl'), '{"text": "fine"}\n{"no": 1}\n');
    const cases = [
      ['missing.txt', 'cannot be read'],
      ['empty.txt', 'has no text'],
      ['binary.txt', 'byte 1 is zero'],
      ['latin1.txt', 'not UTF-8'],
      ['bad.jsonl', 'line 2'],
    ];
    for (const [file, message] of cases) {
      expect(await train(['prepare', '--text', JSON.stringify([file]), '--directory', 'bad']), file).toMatchObject({
        code: 1,
        err: expect.stringContaining(message),
      });
    }
    expect(await train(['prepare', '--txet', 'x'])).toMatchObject({ code: 2, err: expect.stringContaining('did you mean --text?') });
    expect(await train(['mine', '--data', 'nowhere'])).toMatchObject({ code: 1, err: expect.stringContaining('does not exist') });
    expect(existsSync(path.join(folder, 'bad'))).toBe(false);
  });
});
