/** What `mine --report` and `fgrams` say of a set, through the built commands. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { FgramSources, fgramStatisticsSchema, openDataset, openFgrams } from '@sconelm/ngram-miner';
import { describe, expect, it } from 'vitest';
import { commandsInFolder } from './command.js';

const { folder, command } = commandsInFolder();
const at = (...names: string[]) => path.join(folder, ...names);

it('mine --sources says in which documents an f-gram stands, and where', async () => {
  const documents = Array.from({ length: 60 }, (_, i) => `Document ${i}. ${'The cat sat on the mat. '.repeat(1 + (i % 3))}`);
  writeFileSync(at('train.jsonl'), documents.map((text, id) => JSON.stringify({ text, id, licence: `L${id % 4}` })).join('\n'));
  const prepare = [
    'prepare',
    '--text',
    'train.jsonl',
    '--heldout-share',
    '0',
    '--shard-tokens',
    '500',
    '--train-tokenizer',
    '280',
    '--directory',
    'sourced',
  ];
  expect(await command('train', prepare)).toMatchObject({ code: 0 });
  const mine = ['mine', '--data', 'sourced', '--directory', 'sourced-fgrams', '--sources', '2'];
  expect(await command('train', mine)).toMatchObject({ code: 0 });
  const { tokenizer, train } = await openDataset(at('sourced'));
  expect(train.corpus.shards.length).toBeGreaterThan(2);
  const set = await openFgrams(at('sourced-fgrams'));
  await using sources = await FgramSources.open(at('sourced-fgrams'), set);
  for (const id of [0, set.size >> 1, set.idOf(tokenizer.encode('ocument 59')), set.idOf(tokenizer.encode(' 5'))].filter((id) => id >= 0)) {
    const found = await sources.of(id);
    expect(found).toHaveLength(2);
    const own = tokenizer.decode(set.tokensOf(id));
    for (const { document, token } of found) {
      const tokens = [tokenizer.endOfText, ...tokenizer.encode(documents[document])];
      expect(tokenizer.decode(tokens.slice(token, token + set.lengthOf(id)))).toBe(own);
    }
  }
  const described = await sources.describe([59, 0, 31], train.corpus);
  const labels = [0, 31, 59].map((document) => [
    document,
    { id: String(document), licence: `L${document % 4}`, file: expect.stringContaining('train.jsonl') },
  ]);
  expect([...described]).toMatchObject(labels);
  const phrase = ['fgrams', '--data', 'sourced', '--directory', 'sourced-fgrams', '--phrase'];
  const found = await command('train', [...phrase, ' the mat']);
  expect(found.out).toMatch(
    /^␣the␣mat: f-gram \d+, \d tokens, 1\d\d times\n {2}document 0, token \d+: 0, L0, .*train.jsonl\n {2}document 1, .*\n$/,
  );
  expect(JSON.parse((await command('train', [...phrase, ' the hat', '--json'])).out)).toEqual({ text: ' the hat' });
  expect(await command('train', [...mine, '--sources', '300'])).toMatchObject({ code: 2, err: expect.stringContaining('--sources') });
});

describe('the statistics of a set', () => {
  it('are printed and plotted, by mine --report and by fgrams', async () => {
    const lines = (first: number) =>
      Array.from(
        { length: 400 },
        (_, i) => `  if (x_${(first + i) % 7}) { return 1${i % 5}; } <script>alert(1)</script>\nThe cat sat on the mat.\n\n\n`,
      );
    writeFileSync(at('train.txt'), lines(0).join(''));
    writeFileSync(at('heldout.txt'), lines(3).slice(0, 50).join(''));
    const prepare = ['prepare', '--text', 'train.txt', '--heldout-text', 'heldout.txt', '--train-tokenizer', '300'];
    expect(await command('train', prepare)).toMatchObject({ code: 0 });
    const mined = await command('train', ['mine', '--max-length', '5', '--report', '--json']);
    expect(mined).toMatchObject({ code: 0 });
    const { size, statistics, file } = JSON.parse(mined.out);
    expect(file).toBe(at('fgrams/report.html'));
    const { byLength, heldout, classes } = fgramStatisticsSchema.parse(statistics);
    expect(byLength.reduce((sum, { fgrams }) => sum + fgrams, 0)).toBe(size);
    expect(heldout).toMatchObject({ tokens: (await openDataset(at('data'))).heldout.tokenCount, hitRate: expect.any(Number) });
    expect(heldout!.hitRate).toBeGreaterThan(0.8);
    const set = await openFgrams(at('fgrams'));
    for (const { top } of classes.byClass) for (const { id, count } of top) expect(set.countOf(id)).toBe(count);
    const page = readFileSync(file, 'utf8');
    expect(page).toMatch(/Hit rate by length/);
    expect(page).not.toMatch(/<script|https?:/);

    rmSync(file);
    const again = await command('train', ['fgrams', '--json', '--file', 'page.html']);
    expect(JSON.parse(again.out)).toEqual({ statistics, file: at('page.html') });
    expect(readFileSync(at('page.html'), 'utf8')).toBe(page);
    expect(existsSync(file)).toBe(false);
    const text = await command('train', ['fgrams']);
    expect(text).toMatchObject({ code: 0, out: expect.stringMatching(/^2 tokens +\d/m) });
    expect(text.out).toMatch(/^code: [\d,]+; /m);
  });

  it('are there of an empty set too', async () => {
    const mined = await command('train', ['mine', '--min-count', '1000000', '--directory', 'empty', '--report']);
    expect(mined).toMatchObject({ code: 0, out: expect.stringContaining('0 f-grams, cut off at a count of 0') });
    expect(mined.out).not.toMatch(/NaN|undefined|Infinity/);
    const page = readFileSync(at('empty/report.html'), 'utf8');
    expect(page).toContain('There is nothing to plot.');
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
  });

  it('are of the data that the set was mined from', async () => {
    await command('train', ['prepare', '--text', 'train.txt', '--train-tokenizer', '290', '--directory', 'other']);
    for (const args of [[], ['--phrase', 'The']]) {
      expect(await command('train', ['fgrams', '--data', 'other', ...args])).toMatchObject({
        code: 1,
        err: expect.stringContaining('fgrams was mined from 300 tokens, the dataset has 290'),
      });
    }
    expect(await command('train', ['fgrams', '--directory', 'nowhere'])).toMatchObject({
      code: 1,
      err: expect.stringContaining('nowhere'),
    });
  });
});
