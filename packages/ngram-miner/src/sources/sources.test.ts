import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { encodeFgramSet, FgramSet } from '../fgrams/index.js';
import { naiveFgrams } from '../mine/naive.js';
import type { TokenCorpus } from '../tokens/corpus.js';
import { type FgramSource, FgramSources, publishSources } from './fgram-sources.js';
import { SourceCollector } from './source-collector.js';

const folder = mkdtempSync(path.join(tmpdir(), 'sconelm-sources-'));
afterAll(() => rmSync(folder, { recursive: true }));

const BOUNDARY = 0;
const VOCABULARY = 4;
const CORPUS: TokenCorpus = { shards: [], dtype: 'u16', blockBytes: 1024, vocabSize: VOCABULARY, boundary: BOUNDARY };

function setOf(tokens: readonly number[], maxLength: number, minCount = 2): FgramSet {
  const options = { maxLength, minCount, boundary: BOUNDARY, vocabSize: VOCABULARY };
  const { bytes, manifest } = encodeFgramSet(naiveFgrams([tokens], options), options);
  return FgramSet.parse(bytes, { ...manifest, hash: String(manifest.size) });
}

/** Looks for every f-gram in every document. */
function naiveSources(set: FgramSet, documents: readonly (readonly number[])[], perFgram: number): FgramSource[][] {
  return Array.from({ length: set.size }, (_, id) => {
    const own = set.tokensOf(id);
    const found = documents.flatMap((tokens, document) => {
      const token = tokens.findIndex((_, at) => own.every((value, i) => tokens[at + i] === value));
      return token < 0 ? [] : [{ document, token }];
    });
    return found.slice(0, perFgram);
  });
}

async function published(name: string, set: FgramSet, collector: SourceCollector): Promise<string> {
  const directory = path.join(folder, name);
  await publishSources(directory, { set, corpus: CORPUS, collector });
  return directory;
}

describe('sources', () => {
  const document = fc.array(fc.integer({ min: 1, max: VOCABULARY - 1 }), { maxLength: 25 });
  const cases = fc.record({
    // Shards of documents.
    shards: fc.array(fc.array(document, { maxLength: 8 }), { minLength: 1, maxLength: 4 }),
    maxLength: fc.integer({ min: 2, max: 5 }),
    perFgram: fc.integer({ min: 1, max: 4 }),
    chunk: fc.integer({ min: 1, max: 30 }),
  });

  it('are the first documents that a scan finds, whatever the chunks, through the file too', async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(cases, async ({ shards, maxLength, perFgram, chunk }) => {
        const opened = shards.map((documents) => documents.map((tokens) => [BOUNDARY, ...tokens]));
        const set = setOf(opened.flat(2), maxLength);
        const collector = new SourceCollector(set, perFgram);
        for (const shard of opened) {
          const tokens = shard.flat();
          collector.startShard();
          for (let at = 0; at < tokens.length; at += chunk) collector.add(tokens.slice(at, at + chunk));
        }
        const directory = await published(`property-${run++}`, set, collector);
        await using sources = await FgramSources.open(directory, set);
        expect(collector.shardDocuments).toEqual(opened.map((documents) => documents.length));
        const found = await Promise.all(Array.from({ length: set.size }, (_, id) => sources.of(id)));
        expect(found).toEqual(naiveSources(set, opened.flat(), perFgram));
      }),
      { numRuns: 60 },
    );
  });

  it('a shard opens a document even where no token says so', () => {
    const set = setOf([0, 1, 2, 0, 1, 2], 2);
    const collector = new SourceCollector(set, 2);
    collector.startShard();
    collector.add([1, 2]);
    collector.startShard();
    collector.add([3, 1, 2]);
    const id = set.idOf([1, 2]);
    expect([...collector.entries.subarray(id * 4, id * 4 + 4)]).toEqual([0, 0, 1, 1]);
    expect(collector.shardDocuments).toEqual([1, 1]);
  });

  it('of another set, damaged or cut short are refused', async () => {
    let state = 1;
    const tokens = Array.from({ length: 40_000 }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
      return state >>> 30;
    });
    const set = setOf(tokens, 8, 1);
    const collector = new SourceCollector(set, 3);
    collector.startShard();
    collector.add(tokens);
    const directory = await published('damage', set, collector);
    await expect(FgramSources.open(directory, setOf([0, 1, 2, 1, 2], 3))).rejects.toMatchObject({ code: 'SOURCES_MISMATCH' });
    await expect(FgramSources.open(path.join(folder, 'nowhere'), set)).rejects.toMatchObject({ code: 'ARTIFACT_MISSING' });
    const bytes = readFileSync(path.join(directory, 'sources/sources.bin'));
    expect(bytes.length).toBeGreaterThan(2 ** 17);

    const flipped = path.join(folder, 'flipped');
    cpSync(directory, flipped, { recursive: true });
    const damaged = Uint8Array.from(bytes);
    damaged[70_000] ^= 4;
    writeFileSync(path.join(flipped, 'sources/sources.bin'), damaged);
    await using sources = await FgramSources.open(flipped, set);
    await expect(sources.of(Math.floor(70_000 / 24))).rejects.toThrow('block 1 (from byte 65520) is not as it was written');
    expect(await sources.of(0)).toHaveLength(3);
    await expect(sources.describe([0], { ...CORPUS, boundary: 1 })).rejects.toMatchObject({ code: 'SOURCES_MISMATCH' });
    await expect(sources.of(set.size)).rejects.toThrow(RangeError);

    truncateSync(path.join(flipped, 'sources/sources.bin'), bytes.length - 1);
    await expect(sources.of(set.size - 1)).rejects.toMatchObject({ code: 'ARTIFACT_CORRUPT' });
    const manifest = path.join(flipped, 'sources/sources.json');
    writeFileSync(manifest, readFileSync(manifest, 'utf8').replace('"perFgram": 3', '"perFgram": 2'));
    await expect(FgramSources.open(flipped, set)).rejects.toMatchObject({ code: 'ARTIFACT_CORRUPT' });
  });

  it('are at most 255 of each', () => {
    const set = setOf([0, 1, 2, 1, 2], 3);
    for (const perFgram of [0, 256, 1.5]) expect(() => new SourceCollector(set, perFgram)).toThrow(`${perFgram} sources of each f-gram`);
  });
});
