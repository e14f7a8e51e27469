import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeFgramSet, FgramSet } from '../fgrams/index.js';
import { compareFgrams, countFgrams } from './count.js';
import { rankedFgrams } from './mine.js';

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

  it('reproduces the counts, order and matches of an independent implementation', (context) => {
    const file = new URL('../../../../../shared/fixtures/a-unit/expected.json', import.meta.url);
    if (!existsSync(file)) return context.skip('the fixtures are not on this machine');
    const expected = JSON.parse(readFileSync(file, 'utf8'));
    const { K, V, eot, min_count: minCount } = expected.config;
    const found = countFgrams(expected.tokens, { maxLength: K, minCount, vocabSize: V, boundary: eot }).sort(compareFgrams).slice(0, 1000);
    expect(found.map(({ tokens }) => tokens)).toEqual(expected.fgrams);
    expect(found.map(({ count }) => count)).toEqual(expected.counts);
    const { bytes, manifest } = encodeFgramSet(rankedFgrams(found, { maxLength: K, vocabSize: V, boundary: eot }), { minCount });
    const set = FgramSet.parse(bytes, { ...manifest, hash: '' });
    const matches = { ids: new Int32Array(expected.tokens.length), lengths: new Uint8Array(expected.tokens.length) };
    set.match(expected.tokens, { ...matches, boundary: eot });
    expect([...matches.ids]).toEqual(expected.ids);
    expect([...matches.lengths]).toEqual(expected.lengths);
  });
});
