import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { FgramSet } from '../fgrams/index.js';
import { publishFgrams } from '../fgrams-files.js';
import type { TokenCorpus } from '../tokens/corpus.js';
import { mergeParts, mine, minePart } from './mine.js';
import { naiveFgrams } from './naive.js';

const folder = mkdtempSync(path.join(tmpdir(), 'mine sätze-'));
afterAll(() => rmSync(folder, { recursive: true }));
let names = 0;
const newName = () => path.join(folder, String(names++));

interface CorpusForm {
  readonly vocabSize: number;
  readonly boundary: number;
  readonly dtype: 'u16' | 'u32';
  readonly blockBytes?: number;
}

function corpusOf(shards: readonly (readonly number[])[], { vocabSize, boundary, dtype, blockBytes = 64 }: CorpusForm): TokenCorpus {
  return {
    vocabSize,
    boundary,
    dtype,
    blockBytes,
    shards: shards.map((shard) => {
      const file = newName();
      const bytes = new Uint8Array((dtype === 'u16' ? Uint16Array : Uint32Array).from(shard).buffer);
      writeFileSync(file, bytes);
      const blocks = Array.from({ length: Math.ceil(bytes.length / blockBytes) }, (_, i) =>
        crc32(bytes.subarray(i * blockBytes, (i + 1) * blockBytes)),
      );
      return { path: file, tokens: shard.length, blocks };
    }),
  };
}

const listed = (set: FgramSet) => Array.from({ length: set.size }, (_, id) => [[...set.tokensOf(id)].join(), set.countOf(id)]);
const fileOf = (directory: string) => readFileSync(path.join(directory, 'fgrams.bin'));

/** Documents, each opened by the boundary (some of it alone), from few tokens, so that there are ties and long repeats. */
const documents = (tokens: readonly number[]) =>
  fc.array(
    fc.oneof(
      fc.array(fc.constantFrom(...tokens), { maxLength: 40 }),
      fc.array(fc.constantFrom(...tokens.slice(0, 2)), { maxLength: 40 }),
      fc.tuple(fc.constantFrom(...tokens), fc.nat(40)).map(([token, length]) => new Array<number>(length).fill(token)),
    ),
    { maxLength: 8 },
  );

const forms = fc.constantFrom<CorpusForm & { tokens: readonly number[] }>(
  { vocabSize: 5, boundary: 0, dtype: 'u16', tokens: [1, 2, 3, 4] },
  { vocabSize: 2, boundary: 1, dtype: 'u16', tokens: [0] },
  { vocabSize: 50_257, boundary: 50_256, dtype: 'u16', tokens: [7, 300, 50_255, 9, 1000] },
  { vocabSize: 65_536, boundary: 3, dtype: 'u16', tokens: [65_535, 0, 65_534] },
  { vocabSize: 70_000, boundary: 69_999, dtype: 'u32', tokens: [65_535, 65_536, 69_998, 5] },
);

const cases = forms.chain(({ tokens, ...form }) =>
  fc.record({
    form: fc.constant(form),
    shards: fc.array(
      documents(tokens).map((texts) => texts.flatMap((text) => [form.boundary, ...text])),
      { minLength: 1, maxLength: 4 },
    ),
    maxLength: fc.integer({ min: 2, max: 8 }),
    minCount: fc.integer({ min: 1, max: 5 }),
    maxFgrams: fc.oneof(fc.integer({ min: 1, max: 60 }), fc.constant(100_000)),
    workers: fc.integer({ min: 1, max: 3 }),
    kernel: fc.constantFrom('wasm', 'typescript'),
    // Down to a few keys: many passes, and prefixes of every length.
    workBytes: fc.oneof(fc.integer({ min: 1024, max: 8192 }), fc.constant(2 ** 24)),
  }),
);

describe('mine', () => {
  it('finds exactly what counting in a Map finds, closed under prefix and suffix', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ form, shards, ...options }) => {
        const directory = newName();
        const set = await mine(corpusOf(shards, form), { ...options, directory });
        const expected = newName();
        await publishFgrams(expected, naiveFgrams(shards, { ...options, ...form }), options);
        expect(fileOf(directory).equals(fileOf(expected))).toBe(true);
        const keys = new Set(listed(set).map(([key]) => key));
        for (let id = 0; id < set.size; id++) {
          const tokens = [...set.tokensOf(id)];
          if (tokens.length > 2) expect(keys.has(tokens.slice(1).join()) && keys.has(tokens.slice(0, -1).join())).toBe(true);
        }
        expect(existsSync(`${directory}.partial`)).toBe(false);
      }),
      { numRuns: 25 },
    );
  });

  const text = [0, 1, 2, 3, 1, 2, 3, 1, 2, 4, 4, 4, 4, 4, 4, 4, 0, 1, 2, 3, 1, 2, 0, 4, 4, 4];
  const form: CorpusForm = { vocabSize: 5, boundary: 0, dtype: 'u16' };
  const options = { maxLength: 5, minCount: 2, maxFgrams: 100, workers: 1 };

  it('merges parts to the set of a single run, and names one that is missing', async () => {
    const many = Array.from({ length: 60 }, (_, i) => [...text, ...text.map((token) => (token === 0 ? 0 : ((token * i) % 4) + 1))]);
    const corpus = corpusOf(many, form);
    const whole = newName();
    await mine(corpus, { ...options, directory: whole });
    const parts = [3, 1, 2].map((part) => ({ part, directory: newName() }));
    for (const own of parts) await minePart(corpus, { ...options, ...own, parts: 3, workBytes: 900 * own.part });
    const folders = parts.map(({ directory }) => directory);
    const merged = newName();
    await mergeParts(folders, { maxFgrams: 100, directory: merged });
    expect(fileOf(merged).equals(fileOf(whole))).toBe(true);
    await expect(mergeParts(folders.slice(1), { maxFgrams: 100, directory: merged })).rejects.toMatchObject({ code: 'MINE_PARTS' });
    await expect(mergeParts([folders[0], ...folders.slice(0, 2)], { maxFgrams: 9, directory: merged })).rejects.toThrow(/there twice/);
  });

  it('extends a set: old ids stay, new f-grams follow by their own rank', async () => {
    const more = text.map((token) => (token === 1 ? 3 : token));
    const [old, extended] = [newName(), newName()];
    const before = listed(await mine(corpusOf([text], form), { ...options, directory: old }));
    const added = await mine(corpusOf([more, more], form), { ...options, directory: extended, extend: old });
    expect(listed(added).slice(0, before.length)).toEqual(before);
    const known = new Set(before.map(([key]) => key));
    const alone = listed(await mine(corpusOf([more, more], form), { ...options, directory: newName() }));
    expect(listed(added).slice(before.length)).toEqual(alone.filter(([key]) => !known.has(key)));
    expect(added.size).toBeGreaterThan(before.length);
  });

  it('names the shard and the byte of a token outside the vocabulary, a damaged block and a shard that ends early', async () => {
    const corpus = corpusOf([text, [0, 1, 2, 5, 1]], form);
    const run = (changed: TokenCorpus) => mine(changed, { ...options, directory: newName() });
    await expect(run(corpus)).rejects.toMatchObject({
      code: 'SHARDS_INVALID',
      message: `${corpus.shards[1].path}, byte 6: token 5 is not below 5`,
    });
    const long = { ...corpus, shards: [{ ...corpus.shards[0], tokens: 27 }] };
    await expect(run(long)).rejects.toMatchObject({
      code: 'DATASET_CORRUPT',
      message: expect.stringContaining('ends at byte 52, expected 54'),
    });
    const damaged = { ...corpus, shards: [{ ...corpus.shards[0], blocks: [1] }] };
    await expect(run(damaged)).rejects.toMatchObject({ code: 'DATASET_CORRUPT', message: expect.stringContaining('checksum') });
    const missing = { ...corpus, shards: [{ path: newName(), tokens: 5 }] };
    await expect(run(missing)).rejects.toMatchObject({ code: 'ARTIFACT_MISSING' });
  });

  it('says what options it cannot take', async () => {
    const corpus = corpusOf([text], form);
    const run = (changed: object) => mine(corpus, { ...options, directory: newName(), ...changed });
    for (const changed of [{ maxLength: 1 }, { maxLength: 9 }, { minCount: 0 }, { maxFgrams: 0 }, { workers: 0 }])
      await expect(run(changed)).rejects.toMatchObject({ code: 'MINE_OPTION' });
    await expect(run({ memoryBytes: 2 ** 20 })).rejects.toMatchObject({
      code: 'MINE_MEMORY',
      remedy: expect.stringContaining('Give at least'),
    });
  });

  it('reproduces the counts, order and matches of an independent implementation', async (context) => {
    const file = new URL('../../../../../shared/fixtures/a-unit/expected.json', import.meta.url);
    if (!existsSync(file)) return context.skip('the fixtures are not on this machine');
    const expected = JSON.parse(readFileSync(file, 'utf8'));
    const { K, V, eot, min_count: minCount } = expected.config;
    const corpus = corpusOf([expected.tokens], { vocabSize: V, boundary: eot, dtype: 'u16' });
    const set = await mine(corpus, { maxLength: K, minCount, maxFgrams: 1000, directory: newName() });
    expect(listed(set)).toEqual(expected.fgrams.map((tokens: number[], id: number) => [tokens.join(), expected.counts[id]]));
    const matches = { ids: new Int32Array(expected.tokens.length), lengths: new Uint8Array(expected.tokens.length) };
    set.match(expected.tokens, matches);
    expect([...matches.ids]).toEqual(expected.ids);
    expect([...matches.lengths]).toEqual(expected.lengths);
  });
});
