import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { openFgrams, publishFgrams } from '../fgrams-files.js';
import { matchInThreads } from '../match/match-in-threads.js';
import { encodeFgramSet, FgramSet, type RankedFgrams } from './index.js';
import { allocateShared } from './shared-bytes.js';

interface Naive {
  readonly maxLength: number;
  readonly vocabSize: number;
  readonly boundary: number;
  /** By rank. */
  readonly fgrams: readonly (readonly number[])[];
  readonly counts: readonly number[];
}

/** What Alg. 3 gives, by a Map of strings. */
function mineNaively(tokens: readonly number[], { maxLength, vocabSize, boundary }: Omit<Naive, 'fgrams' | 'counts'>, size: number): Naive {
  const counts = new Map<string, number>();
  for (let start = 0; start < tokens.length; start++) {
    for (let n = 2; n <= maxLength && start + n <= tokens.length && tokens[start + n - 1] !== boundary; n++) {
      const key = tokens.slice(start, start + n).join();
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  const ranked = [...counts]
    .map(([key, count]) => ({ tokens: key.split(',').map(Number), count }))
    .sort((a, b) => b.count - a.count || a.tokens.length - b.tokens.length || a.tokens.findIndex((t, i) => t !== b.tokens[i]))
    .slice(0, size);
  // The order among equals is of no matter here, but it must be closed: shorter first is enough.
  return { maxLength, vocabSize, boundary, fgrams: ranked.map((fgram) => fgram.tokens), counts: ranked.map(({ count }) => count) };
}

function columnsOf({ fgrams, counts, ...limits }: Naive): RankedFgrams {
  const idOf = new Map(fgrams.map((tokens, id) => [tokens.join(), id]));
  const parent = (tokens: readonly number[]) =>
    tokens.length === 2 ? tokens[0] : limits.vocabSize + (idOf.get(tokens.slice(0, -1).join()) ?? Number.NaN);
  return {
    ...limits,
    size: fgrams.length,
    parents: Uint32Array.from(fgrams, parent),
    tokens: Uint32Array.from(fgrams, (tokens) => tokens[tokens.length - 1]),
    counts: Float64Array.from(counts),
  };
}

function setOf(naive: Naive): FgramSet {
  const { bytes, manifest } = encodeFgramSet(columnsOf(naive), { minCount: 1 });
  return FgramSet.parse(bytes, { ...manifest, hash: '' });
}

/** The same in memory that the kernel works on. */
function kernelSetOf(naive: Naive): FgramSet {
  const { bytes, manifest } = encodeFgramSet(columnsOf(naive), { minCount: 1 });
  const shared = allocateShared(bytes.length);
  expect(shared.pages).toBeDefined();
  shared.bytes.set(bytes);
  return new FgramSet(shared.bytes, { ...manifest, hash: '' }, shared.pages);
}

/** Ids of the f-grams of 2, 3, ..., K tokens that end at i; −1 where none. */
function naiveIds({ fgrams, maxLength, boundary }: Naive, text: readonly number[]): number[][] {
  const idOf = new Map(fgrams.map((tokens, id) => [tokens.join(), id]));
  return text.map((_, i) =>
    Array.from({ length: maxLength - 1 }, (_, j) => {
      const start = i - j - 1;
      if (start < 0 || text.slice(start + 1, i + 1).includes(boundary)) return -1;
      return idOf.get(text.slice(start, i + 1).join()) ?? -1;
    }),
  );
}

/** Few tokens out of a vocabulary that may be large; the first is the boundary. */
const cases = fc
  .record({
    vocabSize: fc.constantFrom(5, 257, 65_536, 65_537, 2 ** 20, 2 ** 24),
    maxLength: fc.integer({ min: 2, max: 8 }),
    size: fc.integer({ min: 0, max: 120 }),
    corpus: fc.array(fc.nat(4), { minLength: 1, maxLength: 150 }),
    text: fc.array(fc.nat(4), { maxLength: 80 }),
  })
  .map(({ vocabSize, maxLength, size, corpus, text }) => {
    const spread = (token: number) => (token === 4 ? vocabSize - 1 : token * Math.floor(vocabSize / 5));
    const naive = mineNaively(corpus.map(spread), { maxLength, vocabSize, boundary: 0 }, size);
    return { naive, text: text.map(spread) };
  });

describe('the f-gram set', () => {
  it('keeps tokens, ids, lengths and counts', () => {
    fc.assert(
      fc.property(cases, ({ naive, text }) => {
        const set = setOf(naive);
        expect(set.size).toBe(naive.fgrams.length);
        naive.fgrams.forEach((tokens, id) => {
          expect(set.idOf(tokens)).toBe(id);
          expect([...set.tokensOf(id)]).toEqual(tokens);
          expect(set.lengthOf(id)).toBe(tokens.length);
          expect(set.countOf(id)).toBe(naive.counts[id]);
        });
        const known = new Set(naive.fgrams.map((tokens) => tokens.join()));
        for (let i = 0; i < text.length; i++) {
          const tokens = text.slice(i, i + 3);
          if (!known.has(tokens.join())) expect(set.idOf(tokens)).toBe(-1);
        }
        expect(() => set.tokensOf(set.size)).toThrow(RangeError);
      }),
    );
  });

  it('finds at each token the f-grams of every length that a search finds, one token at a time and in bulk', () => {
    fc.assert(
      fc.property(cases, ({ naive, text }) => {
        const set = setOf(naive);
        const expected = naiveIds(naive, text);
        const longest = expected.map((ids) => ids.findLastIndex((id) => id >= 0) + 2);
        const matcher = set.matcher();
        const ids = new Int32Array(text.length);
        const lengths = new Uint8Array(text.length);
        set.match(text, { ids, lengths });
        text.forEach((token, i) => {
          const id = longest[i] === 1 ? -1 : expected[i][longest[i] - 2];
          expect(matcher.push(token)).toBe(id);
          expect(matcher.length).toBe(longest[i]);
          expect(expected[i].map((_, n) => matcher.idOfLength(n + 2))).toEqual(expected[i]);
          expect([ids[i], lengths[i]]).toEqual([id, longest[i]]);
        });
      }),
    );
  });

  it('finds by the kernel what it finds one token at a time', () => {
    const place = fc.record({
      times: fc.integer({ min: 1, max: 30 }),
      outside: fc.array(fc.nat(2399), { maxLength: 9 }),
      cut: fc.nat(2399),
    });
    fc.assert(
      fc.property(cases, place, ({ naive, text }, { times, outside, cut }) => {
        const long = Array.from({ length: times }, () => text).flat();
        for (const i of outside) if (i < long.length) long[i] = [naive.vocabSize, 2 ** 32 - 1, 2 ** 32 + 1, -1][i % 4];
        const boundary = long[cut % Math.max(1, long.length)] ?? 0;
        const [plain, kernel] = [setOf(naive), kernelSetOf(naive)].map((set) => {
          const ids = new Int32Array(long.length);
          const lengths = new Uint8Array(long.length);
          set.match(long, { ids, lengths, boundary });
          const rest = new Int32Array(long.length);
          set.match(long.slice(cut), { ids: rest, boundary, before: long.slice(0, cut) });
          return { ids, lengths, rest };
        });
        expect(kernel).toEqual(plain);
      }),
    );
  });

  it('goes on from a snapshot, a fork or a reset as if nothing else had happened', () => {
    fc.assert(
      fc.property(cases, fc.nat(79), ({ naive, text }, cut) => {
        const set = setOf(naive);
        const whole = set.matcher();
        const ids = text.map((token) => whole.push(token));
        const matcher = set.matcher();
        for (const token of text.slice(0, cut)) matcher.push(token);
        const snapshot = matcher.snapshot();
        const fork = matcher.fork();
        for (const token of text) matcher.push(token);
        matcher.restore(snapshot);
        expect(matcher.length).toBe(fork.length);
        expect(text.slice(cut).map((token) => matcher.push(token))).toEqual(ids.slice(cut));
        expect(text.slice(cut).map((token) => fork.push(token))).toEqual(ids.slice(cut));
        matcher.reset();
        expect(text.map((token) => matcher.push(token))).toEqual(ids);
      }),
    );
  });

  it('finds in chunks, and on several threads, what it finds in the whole', async () => {
    const property = fc.asyncProperty(
      cases,
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 4 }),
      async (given, chunk, threads) => {
        const set = setOf(given.naive);
        const text = Uint32Array.from(given.text);
        const whole = { ids: new Int32Array(text.length), lengths: new Uint8Array(text.length) };
        set.match(text, whole);
        const ids = new Int32Array(text.length);
        for (let from = 0; from < text.length; from += chunk) {
          const before = text.subarray(Math.max(0, from - set.maxLength + 1), from);
          set.match(text.subarray(from, from + chunk), { before, ids: ids.subarray(from) });
        }
        expect(ids).toEqual(whole.ids);
        expect(await matchInThreads(set, text, { threads, chunk, ids: true })).toEqual(whole);
      },
    );
    await fc.assert(property, { numRuns: 10 });
    const stop = AbortSignal.abort(new Error('stopped'));
    const set = setOf({ maxLength: 2, vocabSize: 3, boundary: 0, fgrams: [[1, 2]], counts: [1] });
    await expect(matchInThreads(set, new Uint16Array(1e6), { signal: stop })).rejects.toThrow('stopped');
    const controller = new AbortController();
    const running = matchInThreads(set, new Uint16Array(3e6), { signal: controller.signal }).then(
      () => 'done',
      (error: Error) => error.message,
    );
    controller.abort(new Error('stopped'));
    expect(await running).toBe('stopped');
  });

  it('matches nothing over a token outside the vocabulary', () => {
    const set = setOf({
      maxLength: 3,
      vocabSize: 3,
      boundary: 0,
      fgrams: [
        [1, 2],
        [1, 2, 1],
      ],
      counts: [2, 1],
    });
    // Nodes 3 and 4 are f-grams: as tokens they must not lead on from there.
    for (const token of [3, 4, 2 ** 32 - 1, -1]) {
      const ids = new Int32Array(4);
      set.match([1, token, 1, 2], { ids });
      expect([...ids]).toEqual([-1, -1, -1, 0]);
      expect(set.idOf([token, 1])).toBe(-1);
      expect(set.idOf([1, token])).toBe(-1);
    }
  });

  it('keeps counts that rise again where a set was extended', () => {
    const fgrams = [
      [1, 2],
      [2, 1],
      [2, 2],
      [1, 1],
    ];
    const counts = [9, 2 ** 40, 3, 3];
    const set = setOf({ maxLength: 2, vocabSize: 3, boundary: 0, fgrams, counts });
    expect(counts.map((_, id) => set.countOf(id))).toEqual(counts);
  });

  it('holds as many f-grams as make vocabulary and set together a power of two', () => {
    const vocabSize = 2 ** 9;
    const fgrams = Array.from({ length: 2 ** 18 - vocabSize }, (_, id) => [id >> 9, id % vocabSize]);
    const set = setOf({ maxLength: 2, vocabSize, boundary: 511, fgrams, counts: fgrams.map(() => 5) });
    expect(fgrams.findIndex((tokens, id) => set.idOf(tokens) !== id)).toBe(-1);
  });

  it('refuses columns that are no set, and vocabularies beyond its limit', () => {
    const columns = columnsOf({
      maxLength: 3,
      vocabSize: 3,
      boundary: 0,
      fgrams: [
        [1, 2],
        [1, 2, 1],
      ],
      counts: [2, 1],
    });
    const encode = (changed: Partial<RankedFgrams>) => () => encodeFgramSet({ ...columns, ...changed }, { minCount: 1 });
    expect(encode({ parents: Uint32Array.from([1, 4]) })).toThrow(expect.objectContaining({ code: 'FGRAMS_CORRUPT' }));
    expect(encode({ tokens: Uint32Array.from([2, 3]) })).toThrow(expect.objectContaining({ code: 'FGRAMS_CORRUPT' }));
    expect(encode({ maxLength: 2 })).toThrow(expect.objectContaining({ code: 'FGRAMS_CORRUPT' }));
    const twice = { parents: Uint32Array.from([1, 1]), tokens: Uint32Array.from([2, 2]) };
    expect(encode(twice)).toThrow('f-gram 1 is f-gram 0 again');
    expect(encode({ ...twice, vocabSize: 2 ** 24 })).toThrow('f-gram 1 is f-gram 0 again');
    expect(encode({ vocabSize: 2 ** 24 + 1 })).toThrow(expect.objectContaining({ code: 'FGRAMS_LIMIT' }));
  });
});

describe('a folder of f-grams', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'sconelm-fgrams-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const corpus = Array.from({ length: 3000 }, (_, i) => (i * i * 7 + (i >> 3)) % 61);
  const naive = mineNaively(corpus, { maxLength: 4, vocabSize: 61, boundary: 0 }, 2000);
  const expected = naiveIds(naive, corpus).map((ids) => ids.findLast((id) => id >= 0) ?? -1);
  const files = ['fgrams.bin', 'fgrams.json'].map((name) => path.join(folder, 'set', name));
  /** Whether the folder is refused with a typed error; matches must be right where it is not. */
  const isRefused = async () => {
    const set = await openFgrams(path.join(folder, 'set')).catch((error: { code?: string; remedy?: string }) => {
      expect(error.code).toMatch(/^(FGRAMS|ARTIFACT)_/);
      expect(error.remedy).toMatch(/\.$/);
      return undefined;
    });
    if (set === undefined) return true;
    const ids = new Int32Array(corpus.length);
    set.match(corpus, { ids });
    expect([...ids]).toEqual(expected);
    return false;
  };

  it('has the same bytes whenever it is made, and opens to the same set', async () => {
    const manifest = await publishFgrams(path.join(folder, 'set'), columnsOf(naive), { minCount: 1 });
    await publishFgrams(path.join(folder, 'again'), columnsOf(naive), { minCount: 1 });
    for (const file of files) expect(readFileSync(file)).toEqual(readFileSync(file.replace('/set/', '/again/')));
    const set = await openFgrams(path.join(folder, 'set'));
    expect(set.manifest).toEqual(manifest);
    expect(naive.fgrams.map((_, id) => [...set.tokensOf(id)])).toEqual(naive.fgrams);
    expect(await isRefused()).toBe(false);
  });

  it('is refused when any bit is flipped, any byte missing, or another file lies in its place', async () => {
    for (const file of files) {
      const whole = readFileSync(file);
      const bits = file.endsWith('.json') ? whole.length * 8 : 400;
      let refused = 0;
      for (let i = 0; i < bits; i++) {
        const bit = bits === whole.length * 8 ? i : Math.floor((i * whole.length * 8) / bits) + (i % 8);
        const damaged = Uint8Array.from(whole);
        damaged[bit >> 3] ^= 1 << (bit & 7);
        writeFileSync(file, damaged);
        if (await isRefused()) refused++;
      }
      // White space of the manifest may turn into other white space.
      expect(refused).toBeGreaterThan(bits * (file.endsWith('.json') ? 0.9 : 0.999));
      for (let i = 0; i < 50; i++) {
        writeFileSync(file, whole);
        truncateSync(file, Math.floor((i * whole.length) / 50));
        expect(await isRefused()).toBe(true);
      }
      writeFileSync(file, Buffer.concat([whole, new Uint8Array(1)]));
      expect(await isRefused()).toBe(true);
      writeFileSync(file, whole);
    }
    mkdirSync(path.join(folder, 'other'));
    await publishFgrams(path.join(folder, 'other'), columnsOf(mineNaively(corpus, naive, naive.fgrams.length - 1)), { minCount: 1 });
    copyFileSync(path.join(folder, 'other/fgrams.bin'), files[0]);
    expect(await isRefused()).toBe(true);
  });

  it('tells what to do with a set of an older version', async () => {
    writeFileSync(files[1], JSON.stringify({ kind: 'scone-fgrams', version: 1, size: 1, checksum: '' }));
    await expect(openFgrams(path.join(folder, 'set'))).rejects.toMatchObject({ code: 'ARTIFACT_VERSION', remedy: expect.any(String) });
  });
});
