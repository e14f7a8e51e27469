import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeFgramSet, FgramSet } from '../fgrams/index.js';
import { naiveFgrams } from '../mine/naive.js';
import { classOf } from './classes.js';
import { fgramStatistics, fgramStatisticsSchema } from './statistics.js';
import { visibleText } from './visible-text.js';

const VOCABULARY = 5;
const BOUNDARY = 0;
const textOf = (ids: ArrayLike<number>) => Array.from(ids, (id) => 'a7= '[id - 1] ?? '�').join('');
/** Drops a blank at the start, as SentencePiece's do. */
const tokenizer = { decode: (ids: ArrayLike<number>) => textOf(ids).replace(/^ /, '') };

function setOf(tokens: readonly number[], maxLength: number, maxFgrams: number): FgramSet {
  const options = { maxLength, minCount: 2, boundary: BOUNDARY, vocabSize: VOCABULARY };
  const { bytes, manifest } = encodeFgramSet(naiveFgrams([tokens], { ...options, maxFgrams }), options);
  return FgramSet.parse(bytes, { ...manifest, hash: 'none' });
}

/** Lengths of all f-grams below `limit` that end at `end`, by looking for each slice. */
function endingAt(set: FgramSet, tokens: readonly number[], end: number, limit: number): number[] {
  const keys = new Map(Array.from({ length: set.size }, (_, id) => [set.tokensOf(id).join(), id]));
  const lengths: number[] = [];
  for (let n = 2; n <= set.maxLength && n <= end + 1; n++) {
    const slice = tokens.slice(end + 1 - n, end + 1);
    if (slice.lastIndexOf(BOUNDARY) > 0) continue;
    if ((keys.get(slice.join()) ?? Infinity) < limit) lengths.push(n);
  }
  return lengths;
}

const corpus = fc.array(fc.integer({ min: 0, max: VOCABULARY - 1 }), { maxLength: 120 });

describe('fgramStatistics', () => {
  it('counts what a look at every slice counts, whatever the chunks', async () => {
    const cases = fc.record({
      train: corpus,
      heldout: corpus,
      maxLength: fc.integer({ min: 2, max: 6 }),
      maxFgrams: fc.integer({ min: 0, max: 60 }),
      chunk: fc.integer({ min: 1, max: 50 }),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ train, heldout, maxLength, maxFgrams, chunk }) => {
        const set = setOf(train, maxLength, maxFgrams);
        const chunks = Array.from({ length: Math.ceil(heldout.length / chunk) }, (_, i) => heldout.slice(i * chunk, (i + 1) * chunk));
        const found = fgramStatisticsSchema.parse(await fgramStatistics(set, { tokenizer, heldout: chunks, top: 3 }));
        const ids = Array.from({ length: set.size }, (_, id) => id);
        for (const { length, fgrams, occurrences } of found.byLength) {
          const members = ids.filter((id) => set.tokensOf(id).length === length);
          expect(fgrams).toBe(members.length);
          expect(occurrences).toBe(members.reduce((sum, id) => sum + set.countOf(id), 0));
        }
        expect(found.cutOffCount).toBe(set.size === 0 ? 0 : Math.min(...ids.map((id) => set.countOf(id))));
        for (const { name, fgrams, top } of found.classes.byClass) {
          const members = ids.filter((id) => classOf(textOf(set.tokensOf(id).filter((token) => token !== BOUNDARY))) === name);
          expect(fgrams).toBe(members.length);
          expect(top.map(({ id, text }) => [id, text])).toEqual(members.slice(0, 3).map((id) => [id, textOf(set.tokensOf(id))]));
        }
        if (heldout.length === 0) {
          expect(found.heldout).toBeUndefined();
          return;
        }
        const figures = found.heldout!;
        expect(figures.growth.at(-1)?.fgrams ?? 0).toBe(set.size);
        for (const { fgrams, hitRate, hitRates, meanMatchLength } of figures.growth) {
          const ending = heldout.map((_, end) => endingAt(set, heldout, end, fgrams));
          hitRates.forEach((rate, i) => {
            expect(rate).toBeCloseTo(ending.filter((lengths) => lengths.includes(i + 2)).length / heldout.length);
          });
          expect(hitRate).toBe(hitRates[0]);
          expect(meanMatchLength).toBeCloseTo(ending.reduce((sum, lengths) => sum + Math.max(1, ...lengths), 0) / heldout.length);
        }
        const longest = heldout.map((_, end) => Math.max(1, ...endingAt(set, heldout, end, set.size)));
        expect(figures.byLength.map(({ longest: positions }) => positions)).toEqual(
          Array.from({ length: maxLength }, (_, i) => longest.filter((length) => length === i + 1).length),
        );
        const inside = heldout.filter((_, at) => longest.some((length, end) => length > 1 && at <= end && at > end - length));
        expect(figures.coverage).toBeCloseTo(inside.length / heldout.length);
        const used = longest.flatMap((length, end) => (length > 1 ? [heldout.slice(end + 1 - length, end + 1).join()] : []));
        expect(figures.usedFgrams).toBe(new Set(used).size);
      }),
      { numRuns: 150 },
    );
  });

  it('stops where the signal says so', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    const run = fgramStatistics(setOf([1, 2, 1, 2], 2, 9), { tokenizer, heldout: [[1, 2]], signal });
    await expect(run).rejects.toThrow('enough');
  });
});

describe('classOf', () => {
  it.each([
    [
      'words',
      [
        ' of the',
        'don’t',
        '. The',
        'Mr. Smith',
        'in 1999, the',
        'McKinley',
        'the U.S. of',
        'e.g. this',
        'ein schöner',
        '的人',
        '(see below)',
        ' sum of $',
      ],
    ],
    [
      'code',
      [
        'return x;\n',
        'self.name',
        'f(x',
        '});',
        'getName',
        'a_b',
        ' = ',
        'x[0]',
        '->',
        'std::',
        '\n    return',
        '\tif',
        '// ',
        'a = b',
        '$x',
      ],
    ],
    ['numbers', ['1999', ' 1,000', '$20', '12:30', '3.14 ', '(50%)', '1990–1999']],
    ['punctuation', ['. ', ',” ', ' — ', ').\n']],
    ['white space', [' ', '\n\n', '\t', '    ', '\u00a0 ']],
    ['other', ['', '\ufffd\ufffd', '→ ', '☃', 'a ☃']],
  ])('%s', (name, texts) => {
    for (const text of texts) expect(classOf(text), JSON.stringify(text)).toBe(name);
  });
});

describe('visibleText', () => {
  it('shows white space, and what would turn or join text', () => {
    expect(visibleText('a b\n\tc\r')).toBe('a␣b↵⇥c␍');
    expect(visibleText('\u202eabc\u200b\0\u00a0\u2028')).toBe('⟨U+202E⟩abc⟨U+200B⟩⟨U+0000⟩⟨U+00A0⟩⟨U+2028⟩');
  });
  it('leaves no character without a look', () =>
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(visibleText(text)).not.toMatch(/[\s\p{Cc}\p{Cf}]/u);
      }),
    ));
});
