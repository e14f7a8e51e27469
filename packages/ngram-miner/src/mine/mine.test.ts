import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeFgrams, FgramSet } from '../fgrams/fgram-set.js';
import { compareFgrams, countFgrams } from './count.js';

const BOUNDARY = 0;

function naiveCounts(tokens: readonly number[], maxLength: number, minCount: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (let i = 0; i < tokens.length; i++) {
    for (let n = 2; n <= maxLength && i + n <= tokens.length; n++) {
      const gram = tokens.slice(i, i + n);
      if (gram.slice(1).includes(BOUNDARY)) break;
      counts.set(gram.join(), (counts.get(gram.join()) ?? 0) + 1);
    }
  }
  return new Map([...counts].filter(([, count]) => count >= minCount));
}

const corpus = fc.array(fc.nat(4), { minLength: 1, maxLength: 200 });

describe('the f-gram set', () => {
  it('has exactly the n-grams that a naive count has, in the total order, closed under prefix and suffix', () => {
    fc.assert(
      fc.property(
        corpus,
        fc.integer({ min: 2, max: 6 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 60 }),
        (tokens, maxLength, minCount, limit) => {
          const found = countFgrams(tokens, { maxLength, minCount, vocabSize: 5, boundary: BOUNDARY }).sort(compareFgrams);
          expect(new Map(found.map(({ tokens: gram, count }) => [gram.join(), count]))).toEqual(naiveCounts(tokens, maxLength, minCount));
          for (let i = 1; i < found.length; i++) expect(compareFgrams(found[i - 1], found[i])).toBeLessThan(0);
          const kept = new Set(found.slice(0, limit).map(({ tokens: gram }) => gram.join()));
          for (const gram of kept) {
            const parts = gram.split(',');
            if (parts.length > 2) expect(kept.has(parts.slice(1).join()) && kept.has(parts.slice(0, -1).join())).toBe(true);
          }
        },
      ),
    );
  });

  it('finds the longest match that a search over all lengths finds, in bulk and token by token', () => {
    fc.assert(
      fc.property(corpus, corpus, fc.integer({ min: 1, max: 40 }), (tokens, text, limit) => {
        const fgrams = countFgrams(tokens, { maxLength: 5, minCount: 2, vocabSize: 5, boundary: BOUNDARY })
          .sort(compareFgrams)
          .slice(0, limit);
        const set = FgramSet.parse(encodeFgrams(fgrams), { size: fgrams.length, maxLength: 5, vocabSize: 5, hash: '' });
        const ids = new Map(fgrams.map((fgram, id) => [fgram.tokens.join(), id]));
        const found = { ids: new Int32Array(text.length), lengths: new Uint8Array(text.length) };
        set.match(text, { ...found, boundary: BOUNDARY });
        text.forEach((_, i) => {
          let expected = { id: -1, length: 1 };
          for (let n = 2; n <= Math.min(5, i + 1); n++) {
            const gram = text.slice(i - n + 1, i + 1);
            const id = gram.slice(1).includes(BOUNDARY) ? undefined : ids.get(gram.join());
            if (id !== undefined) expected = { id, length: n };
          }
          expect({ id: found.ids[i], length: found.lengths[i] }).toEqual(expected);
        });
        fgrams.forEach((fgram, id) => {
          expect(set.idOf(fgram.tokens)).toBe(id);
          expect([...set.tokensOf(id)]).toEqual(fgram.tokens);
          expect(set.countOf(id)).toBe(fgram.count);
        });
      }),
    );
  });

  it('is refused when its file is damaged', () => {
    const bytes = encodeFgrams([{ tokens: [1, 2], count: 3 }]);
    const manifest = { size: 1, maxLength: 2, vocabSize: 3, hash: '' };
    expect(FgramSet.parse(bytes, manifest).size).toBe(1);
    expect(() => FgramSet.parse(bytes.slice(0, -2), manifest)).toThrow(/fgrams.bin/);
    expect(() => FgramSet.parse(bytes, { ...manifest, vocabSize: 2 })).toThrow(/not below 2/);
  });

  it('reproduces the counts, order and matches of an independent implementation', (context) => {
    const file = new URL('../../../../../shared/fixtures/a-unit/expected.json', import.meta.url);
    if (!existsSync(file)) return context.skip('the fixtures are not on this machine');
    const expected = JSON.parse(readFileSync(file, 'utf8'));
    const { K, V, eot, min_count: minCount } = expected.config;
    const found = countFgrams(expected.tokens, { maxLength: K, minCount, vocabSize: V, boundary: eot }).sort(compareFgrams).slice(0, 1000);
    expect(found.map(({ tokens }) => tokens)).toEqual(expected.fgrams);
    expect(found.map(({ count }) => count)).toEqual(expected.counts);
    const set = FgramSet.parse(encodeFgrams(found), { size: found.length, maxLength: K, vocabSize: V, hash: '' });
    const matches = { ids: new Int32Array(expected.tokens.length), lengths: new Uint8Array(expected.tokens.length) };
    set.match(expected.tokens, { ...matches, boundary: eot });
    expect([...matches.ids]).toEqual(expected.ids);
    expect([...matches.lengths]).toEqual(expected.lengths);
  });
});
