/** The fast path gives id for id what Hugging Face's library gives, whatever the text. SCONE_TESTS=full tries a million strings. */
import { existsSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';
import { describe, expect, it } from 'vitest';
import { TokenList } from './token-list.js';
import { Tokenizer } from './tokenizer.js';
import type { AddedToken, Component, TokenizerJson } from './tokenizer-json.js';
import { trainTokenizer } from './train.js';

const isFull = process.env.SCONE_TESTS === 'full';
const LANGUAGES = JSON.parse(readFileSync(new URL('languages.test.json', import.meta.url), 'utf8')) as Record<string, string>;
const speeches = gunzipSync(readFileSync(new URL('../../../../data/quickstart/sotu-heldout.jsonl.gz', import.meta.url)))
  .toString()
  .trim()
  .split('\n')
  .map((line) => (JSON.parse(line) as { text: string }).text);
const GPT2 = new URL('../../../../../shared/models/gpt2-tokenizer/tokenizer.json', import.meta.url);

const trained = trainTokenizer([...speeches.slice(0, 8), ...Object.values(LANGUAGES)], { vocabSize: 4000 });
const sequence = (...pretokenizers: Component[]): Component => ({ type: 'Sequence', pretokenizers });
const split = (pattern: string, behavior = 'Isolated', invert = false): Component =>
  sequence(
    { type: 'Split', pattern: { Regex: pattern }, behavior, invert },
    { type: 'ByteLevel', add_prefix_space: false, use_regex: false },
  );
const CLAUSES = (numbers: string) =>
  String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|${numbers}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
const token = (id: number, content: string, rest: Partial<AddedToken> = {}): AddedToken => ({ id, content, special: false, ...rest });

/** Every form that the fast path takes. */
const FORMS: Record<string, Partial<TokenizerJson>> = {
  'GPT-2': {},
  'GPT-2 with a blank in front': { pre_tokenizer: { type: 'ByteLevel', add_prefix_space: true, use_regex: true } },
  'GPT-2 as a Split': { pre_tokenizer: split(String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`) },
  'no pieces': { pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: false } },
  'Llama 3': { pre_tokenizer: split(CLAUSES(String.raw`\p{N}{1,3}`)), model: { ...trained.model, ignore_merges: true } },
  'cl100k, by what matches': { pre_tokenizer: split(CLAUSES(String.raw`\p{N}{1,3}`), 'Removed', true) },
  'Qwen 2': { pre_tokenizer: split(CLAUSES(String.raw`\p{N}`)), normalizer: { type: 'NFC' } },
  'SmolLM 2': {
    pre_tokenizer: sequence({ type: 'Digits', individual_digits: true }, { type: 'ByteLevel', add_prefix_space: false, use_regex: true }),
  },
  'GPT-NeoX, with runs of blanks as tokens': {
    normalizer: { type: 'NFC' },
    added_tokens: [
      ...(trained.added_tokens ?? []),
      ...Array.from({ length: 23 }, (_, i) => token(4000 + i, ' '.repeat(24 - i), { normalized: true })),
      token(4030, '\u0958', { normalized: true }),
      token(4031, 'né', { normalized: false }),
      token(4032, '!?', { normalized: true }),
    ],
  },
};

/** Numbers in [0, limit), the same ones in every run. [Tommy Ettinger's mulberry32] */
function random(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
}

const SETS = {
  blanks: [...' \t\n\r\v\f\u0085\u00a0\u1680\u2003\u2028\u202f\u3000\ufeff\u200b\u180e', '  ', '\r\n', '\n\n', '   '],
  digits: [...'0123456789٣४９²½Ⅷ①𝟘〇', '2024', '1'],
  letters: [...'abcxyzABCXYZéßøñçžдЖλΩאبक漢字あアガ한글ǅſİªʰ𝒜𐐀𠀀'],
  punctuation: [...'.,;:!?\'"()[]{}<>|/\\@#$%^&*-_=+~`—“”…§€→©😀🙂␀\u0000\u007f'],
  contractions: ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'LL", "'Re", "'VE", '’s', "'ſ", " 's", "'", "'l", "'r", "''ll"],
  marks: [...'\u0301\u0308\u0327\u093c\u0903\u20dd\u200d\ufe0f\u0345', 'é', 'क़', 'ᄀ\u1161\u11a8', '\u1100'],
  emoji: ['👩‍👩‍👧‍👦', '🙂🏽', '🇩🇪', '❤️', '👨🏿‍🚀'],
  surrogates: ['\ud800', '\udbff', '\udc00', '\udfff', '\ude00\ud83d'],
  tokens: ['<|endoftext|>', '<|endof', '!?', ' né', '  !?  '],
} as const;
const words = [...speeches.slice(0, 3), ...Object.values(LANGUAGES)].join(' ').split(/(?<=\s)/);

function randomText(next: (limit: number) => number): string {
  const pick = <T>(list: readonly T[]): T => list[next(list.length)];
  const part = (): string => {
    switch (next(8)) {
      case 0:
        return String.fromCodePoint(next(next(2) === 0 ? 0x3000 : 0x110000));
      case 1:
        return pick(pick(Object.values<readonly string[]>(SETS))).repeat(1 + next(next(20) === 0 ? 300 : 4));
      case 2:
        return pick(words) + pick(words);
      case 3: {
        const set = pick(Object.values<readonly string[]>(SETS));
        return Array.from({ length: 1 + next(next(20) === 0 ? 200 : 6) }, () => pick(set)).join('');
      }
      case 4:
        return pick(SETS.blanks) + pick(words);
      case 5:
        return pick(words).trim() + pick(SETS.contractions);
      case 6:
        return String(next(10 ** (1 + next(9))));
      default:
        return Array.from({ length: 1 + next(4) }, () => String.fromCharCode(next(0x10000))).join('');
    }
  };
  return Array.from({ length: next(8) }, part).join('');
}

interface Pair {
  readonly tokenizer: Tokenizer;
  readonly library: LibraryTokenizer;
}

/** Our tokenizer and the library's, where names of special tokens are text or parsed. */
function open(json: TokenizerJson, specialTokens: 'text' | 'parse'): Pair {
  const added = (json.added_tokens ?? []).filter((token) => specialTokens === 'parse' || !token.special);
  const tokenizer = Tokenizer.parse(JSON.stringify(json), { specialTokens });
  expect(tokenizer.isFast).toBe(true);
  return { tokenizer, library: new LibraryTokenizer({ ...json, added_tokens: added }, {}) };
}

function expectEqual({ tokenizer, library }: Pair, text: string): void {
  const ids = tokenizer.encode(text);
  const expected = library.encode(text, { add_special_tokens: false }).ids;
  if (ids.length === expected.length && ids.every((id, i) => id === expected[i])) return;
  expect({ text, ids: [...ids] }).toEqual({ text, ids: expected });
}

function expectEqualOnRandomTexts(pair: Pair, count: number, seed: number): void {
  const next = random(seed);
  for (let i = 0; i < count; i++) expectEqual(pair, randomText(next));
}

describe.each(Object.entries(FORMS))('%s', (_name, form) => {
  const json = { ...trained, ...form };
  it.each(['text', 'parse'] as const)(
    'random strings, special tokens as %s',
    (specialTokens) => {
      expectEqualOnRandomTexts(open(json, specialTokens), isFull ? 50_000 : 1000, specialTokens.length);
    },
    600_000,
  );
  it('text in many languages', () => {
    const pair = open(json, 'text');
    for (const text of [...Object.values(LANGUAGES), ...speeches.slice(8, 10)]) expectEqual(pair, text);
  });
});

describe('GPT-2’s own vocabulary', () => {
  const missing = !existsSync(GPT2) && `${GPT2.pathname} is not on this machine`;
  it('random strings', (context) => {
    if (missing) return context.skip(missing);
    expectEqualOnRandomTexts(open(JSON.parse(readFileSync(GPT2, 'utf8')), 'text'), isFull ? 1_000_000 : 4000, 7);
  }, 1_200_000);
  it('text in many languages', (context) => {
    if (missing) return context.skip(missing);
    const pair = open(JSON.parse(readFileSync(GPT2, 'utf8')), 'text');
    for (const text of [...Object.values(LANGUAGES), ...speeches.slice(8, 12)]) expectEqual(pair, text);
  });
});

describe('BPE in SentencePiece’s form', () => {
  // Words as pieces, with the mark that stands for a blank, or with merges that join words.
  const marked = (token: string) => token.replaceAll('Ġ', '▁');
  const merges = (trained.model.merges ?? []).map(([left, right]) => [marked(left), marked(right)] as const);
  const crossing = [...merges, ['e', '▁'], ['e▁', 't']] as const;
  it.each([
    ['words apart', merges],
    ['words joined', crossing],
  ])('%s', (_name, merges) => {
    const tokens = new Set([
      '<unk>',
      '▁',
      ...Array.from({ length: 26 }, (_, i) => String.fromCharCode(97 + i)),
      ...merges.flatMap(([l, r]) => [l, r, l + r]),
    ]);
    const json: TokenizerJson = {
      normalizer: {
        type: 'Sequence',
        normalizers: [
          { type: 'Prepend', prepend: '▁' },
          { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
        ],
      },
      pre_tokenizer: null,
      post_processor: null,
      decoder: null,
      model: {
        type: 'BPE',
        unk_token: '<unk>',
        fuse_unk: true,
        vocab: Object.fromEntries([...tokens].map((token, id) => [token, id])),
        merges,
      },
      added_tokens: [token(0, '<unk>', { special: true })],
    };
    const pair = { tokenizer: Tokenizer.parse(json, { boundary: '▁' }), library: new LibraryTokenizer({ ...json, added_tokens: [] }, {}) };
    expect(pair.tokenizer.isFast).toBe(false);
    expectEqualOnRandomTexts(pair, isFull ? 20_000 : 500, 11);
    for (const text of [...Object.values(LANGUAGES), speeches[0].slice(0, 4000)]) expectEqual(pair, text.replaceAll('\n', '  '));
  });
});

it('pieces that are too long to be scanned, and merges that are out of order', () => {
  const next = random(3);
  const merges = [...(trained.model.merges ?? [])];
  // As in vocabularies made from tiktoken's, a merge may come before those that make its parts.
  for (let i = 0; i < 300; i++) {
    const [a, b] = [next(merges.length), next(merges.length)];
    [merges[a], merges[b]] = [merges[b], merges[a]];
  }
  for (const json of [trained, { ...trained, model: { ...trained.model, merges } }]) {
    const pair = open(json, 'text');
    for (let i = 0; i < 60; i++) {
      const letters = ['a', 'es', 'the', 'in', 'д', 'ст', 'ion', 'xq'].slice(0, 1 + next(8));
      expectEqual(pair, Array.from({ length: 100 + next(2000) }, () => letters[next(letters.length)]).join(''));
    }
  }
});

it('a list takes the ids of many texts, as bytes, one after the other', () => {
  const { tokenizer } = open(trained, 'text');
  const list = new TokenList();
  const expected: number[] = [];
  for (const text of [...Object.values(LANGUAGES), '', 'x', ...speeches]) {
    list.push(tokenizer.endOfText);
    tokenizer.encodeBytes(new TextEncoder().encode(text), list);
    expected.push(tokenizer.endOfText, ...tokenizer.encode(text));
  }
  expect(list.length).toBe(expected.length);
  expect([...list.view()]).toEqual(expected);
});
