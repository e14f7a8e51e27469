import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BYTE_TO_CHARACTER } from './byte-level.js';
import { Tokenizer } from './tokenizer.js';
import { trainTokenizer } from './train.js';

/** Merges by counting every pair anew each time; pieces by the regular expression. */
function naiveMerges(texts: readonly string[], count: number): [string, string][] {
  const pieces = texts.flatMap((text) => text.match(/'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu) ?? []);
  const words = pieces.map((piece) => Array.from(new TextEncoder().encode(piece)));
  const names = [...BYTE_TO_CHARACTER];
  const merges: [string, string][] = [];
  while (merges.length < count) {
    const counts = new Map<string, number>();
    for (const ids of words)
      for (let i = 1; i < ids.length; i++) counts.set(`${ids[i - 1]},${ids[i]}`, (counts.get(`${ids[i - 1]},${ids[i]}`) ?? 0) + 1);
    const pairs = Array.from(counts, ([pair, times]) => ({ pair: pair.split(',').map(Number), times }));
    pairs.sort((a, b) => b.times - a.times || a.pair[0] - b.pair[0] || a.pair[1] - b.pair[1]);
    if (pairs.length === 0 || pairs[0].times < 2) break;
    const [left, right] = pairs[0].pair;
    for (const ids of words)
      for (let i = 0; i + 1 < ids.length; i++) if (ids[i] === left && ids[i + 1] === right) ids.splice(i, 2, names.length);
    merges.push([names[left], names[right]]);
    names.push(names[left] + names[right]);
  }
  return merges;
}

describe('training', () => {
  it('makes the merges of a naive count', () => {
    const text = fc.string({
      unit: fc.constantFrom('a', 'b', 'aa', 'abab', ' ', '\n', 'é', '漢', "'s", '1', '.', '\ud800'),
      maxLength: 200,
    });
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 4 }), (texts) => {
        fc.pre(texts.some((text) => text !== ''));
        expect(trainTokenizer(texts, { vocabSize: 257 + 40 }).model.merges).toEqual(naiveMerges(texts, 40));
      }),
      { numRuns: 60 },
    );
  });

  it('gives the same file for the same text, in the form that libraries read', () => {
    const texts = ['the people of the United States '.repeat(9), 'the fiscal year '.repeat(5)];
    const json = trainTokenizer(texts, { vocabSize: 280 });
    expect(JSON.stringify(trainTokenizer(texts.toReversed(), { vocabSize: 280 }))).toBe(JSON.stringify(json));
    expect(Tokenizer.parse(json)).toMatchObject({ vocabSize: 280, endOfText: 279, isFast: true });
  });

  it('refuses what it cannot do', () => {
    expect(() => trainTokenizer([''], { vocabSize: 300 })).toThrow(expect.objectContaining({ code: 'TEXT_EMPTY' }));
    expect(() => trainTokenizer(['text'], { vocabSize: 256 })).toThrow(expect.objectContaining({ code: 'MINE_OPTION' }));
  });
});
