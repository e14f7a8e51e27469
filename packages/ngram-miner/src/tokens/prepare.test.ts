/** Preparing: equal to doing it document by document in memory, for any number of threads, shards and pieces, and after any interruption. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { Tokenizer } from '../tokenizer/tokenizer.js';
import { trainTokenizer } from '../tokenizer/train.js';
import { tokenCountOf } from './corpus.js';
import { openDataset } from './dataset.js';
import { DigestSet, digestOf } from './digest-set.js';
import { type PrepareOptions, prepareDataset } from './prepare.js';
import { readTokens } from './read-tokens.js';
import { readShardDocuments } from './split-writer.js';

const root = mkdtempSync(path.join(tmpdir(), 'miner prepare '));
afterAll(() => rmSync(root, { recursive: true }));
let folder: string;
let runs = 0;
beforeEach(() => {
  folder = path.join(root, `${runs++}`);
  mkdirSync(folder);
});
const at = (...names: string[]) => path.join(folder, ...names);

const TEXT = 'the people of the United States, the fiscal year ending in 1862; it’s the people’s year. ';
const json = trainTokenizer([TEXT.repeat(20)], { vocabSize: 300 });
const tokenizer = Tokenizer.parse(json);

/** Document k of a corpus in which every fifth is an earlier one again. */
const documentOf = (k: number): string => (k % 5 === 4 ? documentOf(k >> 1) : `${TEXT.slice(k % 40)} number ${k}`.repeat(1 + (k % 3)));
const jsonl = (texts: readonly string[]) => texts.map((text, i) => `${JSON.stringify({ text, id: `d${i}`, source: 'test' })}\n`).join('');

/** Three files with documents 0 to 119. */
function writeCorpus(): string[] {
  const texts = Array.from({ length: 120 }, (_, k) => documentOf(k));
  writeFileSync(at('a b.jsonl'), jsonl(texts.slice(0, 70)));
  writeFileSync(at('ü.jsonl.gz'), gzipSync(jsonl(texts.slice(70, 119))));
  writeFileSync(at('z.txt'), texts[119]);
  return texts;
}

const prepare = (options: Partial<PrepareOptions> = {}, directory = at('data')) =>
  prepareDataset({
    directory,
    train: [at('a b.jsonl'), at('ü.jsonl.gz'), at('z.txt')],
    tokenizer: json,
    workers: 2,
    unitBytes: 3000,
    ...options,
  });

/** What preparing must come to, in memory. */
function expected(train: readonly string[], heldout: readonly string[], period: number) {
  const kept = { train: [] as string[], heldout: [...new Set(heldout)] };
  [...new Set(train)]
    .filter((text) => !kept.heldout.includes(text))
    .forEach((text, i) => {
      if (period > 0 && i % period === 1) kept.heldout.push(text);
      else kept.train.push(text);
    });
  return kept;
}
const encoded = (texts: readonly string[]) => texts.flatMap((text) => [tokenizer.endOfText, ...tokenizer.encode(text)]);

const contentOf = (directory: string) =>
  Object.fromEntries(readdirSync(directory).map((name) => [name, readFileSync(path.join(directory, name)).toString('base64')]));

describe('prepareDataset', () => {
  it("ends where a tokenizer's regular expression does not, and names the document", async () => {
    const pattern = { Regex: '(a+)+b' };
    const pre_tokenizer = { type: 'Split', pattern, behavior: 'Isolated', invert: false };
    const lines = [{ text: 'aab' }, { text: 'ab' }, { text: `${'a'.repeat(50)}!` }].map((line) => `${JSON.stringify(line)}\n`);
    writeFileSync(at('slow.jsonl'), lines.join(''));
    const slow = { ...json, normalizer: null, pre_tokenizer };
    expect(Tokenizer.parse(slow).isFast).toBe(false);
    const preparing = prepare({ train: [at('slow.jsonl')], tokenizer: slow, heldoutShare: 0, tokenizerTimeoutMs: 1000 });
    const message = expect.stringContaining(`slow.jsonl, byte or row ${lines[0].length + lines[1].length}: a document of 51 bytes`);
    await expect(preparing).rejects.toMatchObject({ code: 'TOKENIZER_TIMEOUT', message });
  });

  it('gives the tokens of distinct documents in order, one in twenty held out, and where each is from', async () => {
    const texts = writeCorpus();
    const manifest = await prepare();
    const kept = expected(texts, [], 20);
    const data = await openDataset(at('data'));
    for (const split of ['train', 'heldout'] as const) {
      expect([...(await data[split].load())]).toEqual(encoded(kept[split]));
      expect(data[split]).toMatchObject({
        documents: kept[split].length,
        bytes: Buffer.byteLength(kept[split].join('')),
        tokenCount: manifest[split].tokens,
      });
    }
    expect(manifest.duplicates).toBe(texts.length - new Set(texts).size);
    const tokens = await data.train.load();
    let count = 0;
    for await (const { start, file, offset, id, source } of readShardDocuments(data.train.corpus.shards[0].documents!)) {
      expect(tokens[start]).toBe(tokenizer.endOfText);
      const bytes = file.endsWith('.gz') ? gunzipSync(readFileSync(file)) : readFileSync(file);
      const text = file.endsWith('.txt') ? bytes.toString() : JSON.parse(bytes.subarray(offset).toString().split('\n')[0]).text;
      expect(text).toBe(kept.train[count++]);
      if (!file.endsWith('.txt')) expect({ id, source }).toEqual({ id: expect.stringMatching(/^d\d+$/), source: 'test' });
    }
    expect(count).toBe(kept.train.length);
    expect(readdirSync(folder).sort()).toEqual(['a b.jsonl', 'data', 'z.txt', 'ü.jsonl.gz']);
  });

  it('gives the same bytes for any number of threads and any division into pieces', async () => {
    writeCorpus();
    await prepare({ workers: 1, unitBytes: 2 ** 25, shardTokens: 1000 }, at('first'));
    const first = contentOf(at('first'));
    expect(Object.keys(first).length).toBeGreaterThan(8);
    for (const [workers, unitBytes] of [
      [2, 500],
      [3, 4000],
      [8, 9000],
    ]) {
      await prepare({ workers, unitBytes, shardTokens: 1000 }, at(`with ${workers}`));
      expect(contentOf(at(`with ${workers}`))).toEqual(first);
    }
    const [one, many] = [await openDataset(at('first')), await prepare({}, at('one')).then(() => openDataset(at('one')))];
    expect(await one.train.load()).toEqual(await many.train.load());
  });

  it('agrees with doing it in memory, for any documents', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...'abcdefghi'), { minLength: 2, maxLength: 60 }),
        fc.array(fc.constantFrom(...'ghijk'), { maxLength: 5 }),
        fc.integer({ min: 2, max: 8 }),
        async (train, heldout, period) => {
          writeFileSync(at('t.jsonl'), jsonl(train));
          writeFileSync(at('h.jsonl'), jsonl(heldout));
          const kept = expected(train, heldout, heldout.length > 0 ? 0 : period);
          const work = prepare({
            train: [at('t.jsonl')],
            heldout: heldout.length > 0 ? [at('h.jsonl')] : [],
            heldoutShare: 1 / period,
            unitBytes: 200,
          });
          if (kept.train.length === 0) {
            await expect(work).rejects.toMatchObject({ code: 'TEXT_EMPTY' });
            return;
          }
          const { duplicates, heldoutInTraining } = await work;
          const data = await openDataset(at('data'));
          for (const split of ['train', 'heldout'] as const) expect([...(await data[split].load())]).toEqual(encoded(kept[split]));
          expect(duplicates + heldoutInTraining).toBe(train.length + heldout.length - kept.train.length - kept.heldout.length);
        },
      ),
      { numRuns: 12 },
    ));

  it('cuts the only document there is, not inside a character', async () => {
    const text = `${'😀'.repeat(19)}a${'é'.repeat(1)}`;
    writeFileSync(at('one.txt'), text);
    await prepare({ train: [at('one.txt')] });
    const data = await openDataset(at('data'));
    const parts = await Promise.all([data.train, data.heldout].map(async (split) => tokenizer.decode((await split.load()).subarray(1))));
    expect(parts.join('')).toBe(text);
    expect(parts[0]).toBe('😀'.repeat(19));
  });

  it('interrupted at any piece, goes on to the same bytes, encoding only what is missing', async () => {
    writeCorpus();
    await prepare({ tokenizer: { vocabSize: 290 } }, at('whole'));
    for (const stopAt of [1, 2000, 5000]) {
      const target = at(`stopped ${stopAt}`);
      const abort = new AbortController();
      const notes: string[] = [];
      const options = { tokenizer: { vocabSize: 290 }, unitBytes: 1000, onNote: (note: string) => notes.push(note) };
      const stopped = prepare(
        { ...options, signal: abort.signal, onProgress: ({ tokens }) => tokens >= stopAt && abort.abort(new Error('stop')) },
        target,
      );
      await expect(stopped).rejects.toThrow('stop');
      expect(existsSync(target)).toBe(false);
      let encodedTokens = 0;
      await prepare({ ...options, onProgress: ({ tokens }) => (encodedTokens = tokens) }, target);
      expect(contentOf(target)).toEqual(contentOf(at('whole')));
      const { train, heldout } = await openDataset(target);
      const all = train.tokenCount + heldout.tokenCount;
      if (stopAt === 5000) expect(encodedTokens).toBeLessThan(all - 1000);
      expect(notes.filter((note) => note.startsWith('training'))).toHaveLength(1);
    }
  });

  it('encodes anew what has changed since, and nothing else', async () => {
    const texts = writeCorpus();
    const abort = new AbortController();
    const stop = ({ tokens }: { tokens: number }) => tokens >= 3000 && abort.abort(new Error('stop'));
    await expect(prepare({ unitBytes: 1000, workers: 1, signal: abort.signal, onProgress: stop })).rejects.toThrow('stop');
    const changed = [...texts.slice(0, 119), 'all new'];
    writeFileSync(at('z.txt'), changed[119]);
    const notes: string[] = [];
    await prepare({ unitBytes: 1000, onNote: (note) => notes.push(note) });
    expect(notes).toEqual([expect.stringMatching(/^going on: \d+ of \d+/)]);
    const data = await openDataset(at('data'));
    expect([...(await data.train.load())]).toEqual(encoded(expected(changed, [], 20).train));
  });

  it('stops at text that cannot be read, or leaves it out and says where', async () => {
    writeCorpus();
    writeFileSync(at('bad.jsonl'), `${jsonl(['fine'])}{"no": 1}\n${jsonl(['also fine'])}`);
    writeFileSync(at('torn.jsonl.gz'), gzipSync(jsonl(['lost'])).subarray(0, 30));
    const train = [at('a b.jsonl'), at('bad.jsonl'), at('torn.jsonl.gz')];
    await expect(prepare({ train })).rejects.toMatchObject({
      code: 'TEXT_FORMAT',
      message: expect.stringMatching(/bad\.jsonl, byte \d+:|torn/),
      remedy: expect.any(String),
    });
    const { skipped, train: made } = await prepare({ train, onBadInput: 'skip', heldoutShare: 0 });
    expect(skipped).toMatchObject({
      count: 2,
      first: [
        { file: at('bad.jsonl'), code: 'TEXT_FORMAT' },
        { file: at('torn.jsonl.gz'), code: 'TEXT_FORMAT' },
      ],
    });
    expect(made.documents).toBe(new Set(Array.from({ length: 70 }, (_, k) => documentOf(k))).size + 2);
    await expect(prepare({ heldoutShare: 0.6 })).rejects.toMatchObject({ code: 'PREPARE_OPTION' });
  });
});

describe('reading tokens', () => {
  it('gives any range of the shards, whatever their sizes', async () => {
    writeCorpus();
    await prepare({ shardTokens: 700 });
    const { train } = await openDataset(at('data'));
    expect(train.corpus.shards.length).toBeGreaterThan(5);
    const all = [...(await train.load())];
    expect(tokenCountOf(train.corpus)).toBe(all.length);
    const small = {
      ...train.corpus,
      blockBytes: 64,
      shards: train.corpus.shards.map(({ path: file, tokens }) => ({ path: file, tokens })),
    };
    await fc.assert(
      fc.asyncProperty(fc.nat(all.length), fc.nat(all.length), async (from, to) => {
        const found: number[] = [];
        for await (const piece of readTokens(small, { from, to })) found.push(...piece);
        expect(found).toEqual(all.slice(from, to));
      }),
      { numRuns: 50 },
    );
  });

  it('refuses a shard with another bit, another length, or gone', async () => {
    writeCorpus();
    await prepare();
    const { train } = await openDataset(at('data'));
    const file = at('data/train-00000.bin');
    const bytes = readFileSync(file);
    bytes[100] ^= 4;
    writeFileSync(file, bytes);
    await expect(train.load()).rejects.toMatchObject({
      code: 'DATASET_CORRUPT',
      message: expect.stringContaining('block 0 (from byte 0)'),
    });
    writeFileSync(file, bytes.subarray(0, -2));
    await expect(train.load()).rejects.toMatchObject({ code: 'DATASET_CORRUPT', message: expect.stringContaining('ends after') });
    await expect(openDataset(at('data'))).rejects.toMatchObject({ code: 'DATASET_CORRUPT', remedy: 'Prepare the data again.' });
    rmSync(file);
    await expect(openDataset(at('data'))).rejects.toMatchObject({ code: 'ARTIFACT_MISSING' });
  });
});

it('a set of digests is a set', () =>
  fc.assert(
    fc.property(fc.array(fc.nat(3000), { maxLength: 4000, size: 'max' }), (values) => {
      const set = new DigestSet();
      const model = new Set<string>();
      for (const value of ['0'.repeat(32), ...values.map((number) => digestOf(Buffer.from(String(number))))]) {
        expect(set.add(value)).toBe(!model.has(value));
        model.add(value);
        expect(set.has(value)).toBe(true);
      }
      expect(set.size).toBe(model.size);
      expect(set.has(digestOf(Buffer.from('none')))).toBe(false);
    }),
    { numRuns: 10 },
  ));
