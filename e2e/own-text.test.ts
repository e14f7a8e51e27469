/** The way of the data on a user's own text, command by command, and what is said when something is wrong with it. */
import { existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseSafetensors } from '@sconelm/decoder';
import { describe, expect, it } from 'vitest';
import { commandsInFolder } from './command.js';

const { folder, command } = commandsInFolder();
const at = (...names: string[]) => path.join(folder, ...names);

/** Sentences of a small grammar: frequent n-grams, and something to learn. */
function story(sentences: number): string {
  const pick = (words: readonly string[], i: number) => words[(Math.imul(i + 1, 0x9e3779b1) >>> 9) % words.length];
  const line = (i: number) =>
    `The ${pick(['cat', 'dog', 'bird', 'old man'], i)} ${pick(['sat on', 'ran from', 'looked at', 'sang to'], i * 3 + 1)} the ${pick(['mat', 'house', 'river'], i * 5 + 2)} and ${pick(['slept', 'smiled', 'waited'], i * 7 + 3)}. `;
  return Array.from({ length: sentences }, (_, i) => line(i)).join('');
}

const SMALL = ['--width', '32', '--context-length', '32', '--tokens', '12800'];

describe('a text of one’s own', () => {
  it('is prepared, mined, trained on, precomputed, evaluated and reported', async () => {
    const text = story(3000);
    writeFileSync(at('own.txt'), text);
    const prepared = await command('train', ['prepare', '--text', 'own.txt', '--train-tokenizer', '300', '--json']);
    expect(prepared).toMatchObject({ code: 0 });
    const { train, heldout } = JSON.parse(prepared.out);
    expect(train.bytes + heldout.bytes).toBe(Buffer.byteLength(text));
    expect(JSON.parse((await command('train', ['mine', '--json'])).out).size).toBeGreaterThan(100);

    const planned = await command('train', ['run', ...SMALL, '--layers', '3', '--dry-run', '--json']);
    const { model, cost } = JSON.parse(planned.out);
    expect(cost.parameters).toBe(3 * (12 * 32 ** 2 + 13 * 32) + (model.decoder.vocabSize + 32 + 2) * 32);
    expect(cost.trainingFlops).toBe(cost.trainingFlopsPerToken * 12_800);
    expect(await command('train', ['run', '--preset', 'scone-olmo-1.9B', '--dry-run'])).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^parameters +1\.82 G$/m),
    });
    expect(await command('train', ['run', '--preset', 'gpt-7'])).toMatchObject({ code: 1, err: expect.stringContaining('gpt2-124M') });
    expect(existsSync(at('runs'))).toBe(false);

    const interrupted = await command('train', ['run', ...SMALL], { interruptAt: /^ {2}scone: /m });
    expect(interrupted).toMatchObject({ code: 130 });
    expect(await command('train', ['run', ...SMALL, '--seed', '2'])).toMatchObject({
      code: 1,
      err: expect.stringMatching(/runs\/scone is a run with training.seed 1, not 2/),
    });
    const resumed = await command('train', ['run', ...SMALL, '--json']);
    expect(resumed).toMatchObject({ code: 0, err: expect.stringContaining('going on with scone') });
    const baseline = await command('train', ['run', ...SMALL, '--plain', '--directory', 'runs/baseline', '--json']);
    expect(JSON.parse(baseline.out).tokens).toBe(JSON.parse(resumed.out).tokens);
    const lines = readFileSync(at('runs/scone/metrics.jsonl'), 'utf8').trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).step)).toEqual(Array.from({ length: 10 }, (_, i) => 10 * (i + 1)));

    expect(await command('train', ['eval'])).toMatchObject({ code: 1, err: expect.stringContaining('scone-train precompute') });
    expect(await command('train', ['precompute'])).toMatchObject({ code: 0 });
    expect(await command('train', ['precompute', '--row-dtype', 'f16', '--store', 'file:half'])).toMatchObject({ code: 0 });
    const evaluated = async (...args: string[]) => JSON.parse((await command('train', ['eval', '--json', ...args])).out);
    const [joint, half, store] = [await evaluated('--through', 'model'), await evaluated('--store', 'file:half'), await evaluated()];
    // The test of truth: what inference reads from a store is what training computed. Rows are rounded to 11 bits in f16.
    expect(Math.abs(store.loss - joint.loss)).toBeLessThan(1e-5);
    expect(Math.abs(half.loss - joint.loss)).toBeLessThan(1e-3);
    expect(half.loss).not.toBe(store.loss);
    expect(store.byLength).toMatchObject({ 4: { count: expect.any(Number) } });
    expect(await evaluated('--run', 'runs/baseline', '--fgrams', 'fgrams')).toMatchObject({ through: 'tokens', tokens: store.tokens });

    const report = ['report', '--run', 'runs/scone', '--run', 'runs/baseline', '--file', 'both.html'];
    expect(await command('train', report)).toMatchObject({ code: 0 });
    expect(readFileSync(at('both.html'), 'utf8')).toMatch(/<th scope="col">scone<\/th><th scope="col">baseline<\/th>/);

    writeFileSync(at('new.txt'), story(100).toUpperCase());
    const scored = await command('infer', ['eval', '--run', 'runs/scone', '--text', 'own.txt', '--json']);
    const foreign = await command('infer', ['eval', '--run', 'runs/scone', '--text', 'new.txt', '--json']);
    expect(JSON.parse(scored.out).bitsPerByte).toBeLessThan(JSON.parse(foreign.out).bitsPerByte);
    const generated = (...from: string[]) => command('infer', ['generate', ...from, '--prompt', 'The', '--max-tokens', '20']);
    const original = await generated('--run', 'runs/baseline');
    expect(original).toMatchObject({ code: 0 });
    expect(await command('train', ['export', 'runs/baseline', 'exported', '--max-shard-bytes', '50000'])).toMatchObject({ code: 0 });
    expect(await command('train', ['export', 'runs/baseline', 'exported'])).toMatchObject({
      code: 1,
      err: expect.stringContaining('is there already'),
    });
    expect(await command('train', ['import', 'exported', 'runs/again'])).toMatchObject({ code: 0, out: expect.stringContaining('gpt2, ') });
    expect((await generated('--run', 'runs/again')).out).toBe(original.out);
    expect((await generated('--model', 'exported')).out).toBe(original.out);
    expect(await command('train', ['export', 'runs/scone', 'with-rows', '--rows'])).toMatchObject({ code: 0 });
    const stored = parseSafetensors(readFileSync(at('with-rows/rows-00001-of-00001.safetensors')), 'rows').tensors.get('rows')!;
    const names = readFileSync(at('with-rows/fgrams.jsonl'), 'utf8').trim().split('\n');
    expect(stored.shape).toEqual([names.length, 32]);
    expect(Buffer.from(stored.data.buffer).equals(readFileSync(at('runs/scone/rows/rows-00000.bin')))).toBe(true);
    expect(JSON.parse(names[0]!).length).toBeGreaterThan(1);
  });

  it('looks after stores: copies in every form, facts, verification against the model, speed', async () => {
    const store = (...args: string[]) => command('train', ['store', ...args]);
    const original = JSON.parse((await store('info', 'file:runs/scone/rows', '--json')).out);
    expect(await store('copy', 'file:runs/scone/rows', 'file:copy')).toMatchObject({ code: 0 });
    expect(JSON.parse((await store('info', 'file:copy', '--json')).out).fingerprint).toBe(original.fingerprint);
    expect(readFileSync(at('copy/rows-00000.bin'))).toEqual(readFileSync(at('runs/scone/rows/rows-00000.bin')));
    for (const dtype of ['f16', 'bf16', 'int8', 'int4']) {
      expect(await store('copy', 'file:copy', `file:${dtype}`, '--dtype', dtype)).toMatchObject({ code: 0 });
      const verified = await store('verify', `file:${dtype}`, '--run', 'runs/scone', '--sample', '50');
      expect(verified, dtype).toMatchObject({ code: 0, out: expect.stringContaining('50 of them the model') });
    }
    const losses = async (url: string) => JSON.parse((await command('train', ['eval', '--json', '--store', url])).out).loss;
    expect(Math.abs((await losses('file:int8')) - (await losses('file:copy')))).toBeLessThan(0.01);
    expect(JSON.parse((await store('bench', 'file:int8', '--seconds', '0.02', '--json')).out).rows).toHaveLength(8);
    expect(await store('copy', 'file:copy', 'file:hot', '--rows', '20')).toMatchObject({ code: 0 });
    expect(await losses('tiered:file:hot,file:copy')).toBe(await losses('file:copy'));

    const rows = at('int8/rows-00000.bin');
    const damaged = readFileSync(rows);
    damaged[100] ^= 1;
    writeFileSync(rows, damaged);
    expect(await store('verify', 'file:int8')).toMatchObject({ code: 1, err: expect.stringContaining('block 0') });
    expect(await store('copy', 'file:int8', 'file:spread')).toMatchObject({ code: 1, err: expect.stringContaining('block 0') });
    expect(await store('copie')).toMatchObject({ code: 2, err: expect.stringContaining('store copy') });
    expect(await store('info')).toMatchObject({ code: 2, err: expect.stringContaining('--store') });
  });

  it('goes on without rows that cannot be had, if told to, and says how many', async () => {
    const eval_ = async (...args: string[]) => {
      const { code, out, err } = await command('infer', ['eval', '--run', 'runs/scone', '--text', 'new.txt', '--json', ...args]);
      return { code, err, ...JSON.parse(out) };
    };
    writeFileSync(at('new.txt'), story(200));
    expect(await command('train', ['store', 'copy', 'file:runs/scone/rows', 'file:holes', '--block-rows', '1'])).toMatchObject({ code: 0 });
    const file = at('holes/rows-00000.bin');
    const rows = readFileSync(file);
    for (let row = 0; row < rows.length / 128; row += 2) rows[row * 128 + 2] ^= 0x40;
    writeFileSync(file, rows);
    const whole = await eval_('--store', 'file:runs/scone/rows');
    expect(whole).toMatchObject({ code: 0, fallbackRows: 0, recomputedRows: 0 });
    const holes = ['--store', 'file:holes'];
    expect(await eval_(...holes, '--check', 'first-touch')).toMatchObject({ code: 1, error: { code: 'STORE_CORRUPT' } });
    const without = await eval_(...holes, '--damaged-rows', 'fallback');
    expect(without).toMatchObject({ code: 0, recomputedRows: 0, err: expect.stringContaining('have their own embeddings') });
    expect(without.fallbackRows).toBeGreaterThan(40);
    expect(without.loss).not.toBe(whole.loss);
    const again = await eval_(...holes, '--damaged-rows', 'recompute');
    expect(again).toMatchObject({ code: 0, fallbackRows: 0, loss: whole.loss, err: expect.stringContaining('computed again') });
    expect(again.recomputedRows).toBeGreaterThan(0);
    const generate = ['generate', '--run', 'runs/scone', '--prompt', story(1), '--max-tokens', '5'];
    // The whole rows, through a backend that the command does not know.
    writeFileSync(at('alias.mjs'), "export const alias = { scheme: 'alias', openReader: (location, open) => open('file:' + location) };\n");
    const text = await command('infer', [...generate, '--store', 'alias:runs/scone/rows', '--backend', 'alias.mjs']);
    expect(text).toMatchObject({ code: 0 });
    const recomputed = await command('infer', [...generate, ...holes, '--damaged-rows', 'recompute']);
    expect(recomputed).toMatchObject({ code: 0, out: text.out, err: expect.stringContaining('computed again') });
  });

  it('keeps stores, runs and data apart that do not belong together', async () => {
    const run = (directory: string, ...args: string[]) => command('train', ['run', ...SMALL, '--directory', directory, ...args]);
    expect(await run('runs/other', '--seed', '2', '--tokens', '640')).toMatchObject({ code: 0 });
    const eval_ = ['eval', '--run', 'runs/other', '--store', 'file:runs/scone/rows'];
    expect(await command('train', eval_)).toMatchObject({ code: 1, err: expect.stringContaining('Precompute the store again') });
    expect(await command('infer', ['generate', '--run', 'runs/scone', '--store', 'file:nowhere'])).toMatchObject({
      code: 1,
      err: expect.stringContaining('nowhere'),
    });
    await command('train', ['prepare', '--text', 'own.txt', '--train-tokenizer', '290', '--directory', 'data-290']);
    expect(await command('train', ['run', '--data', 'data-290'])).toMatchObject({
      code: 1,
      err: expect.stringContaining('Mine the f-grams'),
    });
    expect(await command('train', ['eval', '--data', 'data-290'])).toMatchObject({ code: 1, err: expect.stringContaining('tokenizer') });
    expect(await run('runs/bad', '--heads', '5')).toMatchObject({ code: 2, err: expect.stringContaining('multiple of heads') });
    expect(await run('runs/bad', '--learning-rate', '1e30')).toMatchObject({
      code: 1,
      err: expect.stringContaining('Lower the learning rate'),
    });
    expect(await run('runs/bad2', '--context-length', '1000000')).toMatchObject({
      code: 1,
      err: expect.stringContaining('fewer than one window'),
    });
  });

  it.each([
    ['runs/other/tokenizer.json', 'not the tokenizer of this run'],
    ['runs/other/config.json', 'config.json'],
    ['runs/other/fgrams/fgrams.bin', 'fgrams.bin'],
    ['runs/other/checkpoints/00000005/model.safetensors', 'model.safetensors'],
  ])('says that %s is truncated', async (file, message) => {
    const whole = readFileSync(at(file));
    truncateSync(at(file), whole.length >> 1);
    const generated = await command('infer', ['generate', '--run', 'runs/other']);
    expect(generated).toMatchObject({ code: 1, err: expect.stringContaining(message) });
    expect(generated.err).toContain('  -> ');
    writeFileSync(at(file), whole);
  });

  it('is refused with the reason where it is no text, and leaves nothing behind', async () => {
    writeFileSync(at('empty.txt'), '');
    writeFileSync(at('binary.txt'), new Uint8Array([65, 0, 66]));
    writeFileSync(at('latin1.txt'), new Uint8Array([65, 0xe9, 66]));
    writeFileSync(at('bad.jsonl'), '{"text": "fine"}\n{"no": 1}\n');
    const cases = [
      ['missing.txt', 'cannot be read'],
      ['empty.txt', 'has no text'],
      ['binary.txt', 'byte 1: the byte is zero'],
      ['latin1.txt', 'not UTF-8'],
      ['bad.jsonl', 'byte 17'],
    ];
    for (const [file, message] of cases) {
      expect(await command('train', ['prepare', '--text', file, '--directory', 'bad']), file).toMatchObject({
        code: 1,
        err: expect.stringContaining(message),
      });
    }
    expect(existsSync(at('bad'))).toBe(false);
    writeFileSync(at('short.txt'), 'Too short.');
    await command('train', ['prepare', '--text', 'short.txt', '--directory', 'short', '--train-tokenizer', '260']);
    expect(await command('train', ['run', '--data', 'short', '--plain', '--directory', 'runs/short'])).toMatchObject({
      code: 1,
      err: expect.stringContaining('fewer than one window'),
    });
    expect(await command('infer', ['eval', '--run', 'runs/other', '--text', 'short.txt'])).toMatchObject({ code: 1 });
  });

  it('needs right options, whole artifacts and an adapter', async () => {
    expect(await command('train', ['prepare', '--txet', 'x'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('did you mean --text?'),
    });
    expect(await command('train', ['mine', '--data', 'nowhere'])).toMatchObject({
      code: 1,
      err: expect.stringContaining('does not exist'),
    });
    expect(await command('infer', ['generate', '--run', 'nowhere'])).toMatchObject({
      code: 1,
      err: expect.stringContaining('does not exist'),
    });
    const without = await command('infer', ['generate', '--run', 'runs/scone'], { env: { VK_DRIVER_FILES: '/nonexistent' } });
    expect(without).toMatchObject({ code: 1, err: expect.stringContaining('adapter') });
    expect(without.err).toContain('  -> ');
    writeFileSync(at('data/train-00000.bin'), 'damaged');
    expect(await command('train', ['mine'])).toMatchObject({ code: 1, err: expect.stringContaining('Prepare the data again') });
    rmSync(at('data'), { recursive: true });
  });
});
