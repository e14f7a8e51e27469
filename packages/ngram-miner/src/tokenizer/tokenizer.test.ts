import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TokenList } from './token-list.js';
import { Tokenizer } from './tokenizer.js';
import type { TokenizerJson } from './tokenizer-json.js';
import { trainTokenizer } from './train.js';

const TEXT = 'the people of the United States, the fiscal year ending in 1862; it’s the people’s year. '.repeat(20);
const json = trainTokenizer([TEXT], { vocabSize: 300 });
const added = (content: string, id: number, special = true) => ({ content, id, special, normalized: false });

describe('a byte-level tokenizer', () => {
  const tokenizer = Tokenizer.parse(JSON.stringify(json));

  it('gives any text back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
      }),
    );
    expect(tokenizer.decode(tokenizer.encode('\ufeff\u0000a'))).toBe('\ufeff\u0000a');
  });

  it('takes a lone surrogate as U+FFFD', () => {
    expect(tokenizer.encode('a\ud800b')).toEqual(tokenizer.encode('a\ufffdb'));
  });

  it('gives any bytes back, UTF-8 or not', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const list = new TokenList();
        tokenizer.encodeBytes(bytes, list);
        expect(tokenizer.decodeBytes(list.view())).toEqual(bytes);
      }),
    );
  });

  it('shortens text, and has the text of each token', () => {
    expect(tokenizer.vocabSize).toBe(300);
    const ids = tokenizer.encode(TEXT);
    expect(ids.length).toBeLessThan(TEXT.length / 3);
    expect(Array.from(ids.subarray(0, 20), (id) => tokenizer.tokenText(id)).join('')).toBe(tokenizer.decode(ids.subarray(0, 20)));
    expect(tokenizer.tokenText(tokenizer.endOfText)).toBe('<|endoftext|>');
    expect(tokenizer.decode([300, 301])).toBe('');
  });

  it('takes special tokens in text as text unless they are asked for', () => {
    const text = 'the <|endoftext|> people';
    expect(tokenizer.encode(text)).not.toContain(299);
    expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
    const parsing = Tokenizer.parse(json, { specialTokens: 'parse' });
    expect([...parsing.encode(text)]).toEqual([...tokenizer.encode('the '), 299, ...tokenizer.encode(' people')]);
    expect(parsing.decode(parsing.encode(text))).toBe(text);
  });

  it('keeps its ids when the cache of pieces is full', () => {
    const texts = Array.from({ length: 40 }, (_, i) => Array.from({ length: 10_000 }, (_, j) => (i * 10_000 + j).toString(36)).join(' '));
    const list = new TokenList();
    for (const text of texts) {
      list.clear();
      tokenizer.encodeBytes(new TextEncoder().encode(text), list);
    }
    expect([...list.view()]).toEqual([...Tokenizer.parse(json).encode(texts[39])]);
  });
});

describe('the token that opens documents', () => {
  const boundary = (changes: Partial<TokenizerJson>, named?: string) => {
    const tokenizer = Tokenizer.parse({ ...json, ...changes }, named === undefined ? {} : { boundary: named });
    return tokenizer.tokenText(tokenizer.endOfText);
  };
  const start = {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: '[B]', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
  };

  it('is the one named, <|endoftext|>, what comes before a text, or one that is known by name', () => {
    expect(boundary({})).toBe('<|endoftext|>');
    expect(boundary({}, 'a')).toBe('a');
    const model = { ...json.model, vocab: Object.fromEntries(Object.entries(json.model.vocab).filter(([, id]) => id !== 299)) };
    const tokens = [added('</s>', 299), added('[B]', 300)];
    expect(boundary({ model, added_tokens: tokens })).toBe('</s>');
    expect(boundary({ model, added_tokens: tokens, post_processor: start })).toBe('[B]');
    expect(
      boundary({ model, added_tokens: tokens, post_processor: { type: 'Sequence', processors: [{ type: 'ByteLevel' }, start] } }),
    ).toBe('[B]');
    expect(() => boundary({ model, added_tokens: [] })).toThrow(expect.objectContaining({ code: 'TOKENIZER_BOUNDARY' }));
    expect(() => boundary({}, '<s>')).toThrow(/no token '<s>'/);
  });
});

describe('tokenizers of other kinds', () => {
  const unigram: TokenizerJson = {
    model: {
      type: 'Unigram',
      unk_id: 0,
      vocab: [
        ['<unk>', 0],
        ['</s>', 0],
        ['▁the', -2],
        ['▁', -3],
        ['t', -4],
        ['h', -4],
        ['e', -4],
        ['s', -5],
        ['<', -6],
        ['>', -6],
        ['/', -6],
      ],
    },
    pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' },
    decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' },
    added_tokens: [added('<unk>', 0), added('</s>', 1)],
  };
  const wordPiece: TokenizerJson = {
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      vocab: { '[UNK]': 0, '[CLS]': 1, play: 2, '##ing': 3 },
    },
    pre_tokenizer: { type: 'WhitespaceSplit' },
    decoder: { type: 'WordPiece', prefix: '##' },
    added_tokens: [added('[UNK]', 0), added('[CLS]', 1)],
  };

  it('go through the library', () => {
    const tokenizer = Tokenizer.parse(unigram);
    expect(tokenizer).toMatchObject({ isFast: false, vocabSize: 11, endOfText: 1 });
    expect([...tokenizer.encode('the these')]).toEqual([2, 2, 7, 6]);
    expect(tokenizer.decode([2, 2, 7, 6])).toBe('the these');
    expect([2, 2, 7, 6].map((id) => tokenizer.tokenText(id))).toEqual([' the', ' the', 's', 'e']);
    expect([...Tokenizer.parse(wordPiece).encode('playing chess')]).toEqual([2, 3, 0]);
    expect([...tokenizer.encode('')]).toEqual([]);
    expect(tokenizer.decode([])).toBe('');
  });

  it('never find a special token in text unless they are asked to', () => {
    for (const [form, text, id] of [
      [unigram, 'the</s>', 1],
      [wordPiece, 'playing [CLS] playing', 1],
    ] as const) {
      expect([...Tokenizer.parse(form).encode(text)]).not.toContain(id);
      expect([...Tokenizer.parse(form, { specialTokens: 'parse' }).encode(text)]).toContain(id);
    }
  });

  it('refuse what they cannot say', () => {
    expect(() => Tokenizer.parse({ ...unigram, model: { ...unigram.model, unk_id: null } }).encode('x')).toThrow(/no token for/);
  });
});

it('names what is wrong with a file', () => {
  const refusal = (content: unknown) => expect(() => Tokenizer.parse(content as TokenizerJson));
  refusal('{').toThrow(/not JSON/);
  refusal('null').toThrow(/no model/);
  refusal({ model: { type: 'BPE' } }).toThrow(/no model with a vocabulary/);
  refusal({ model: { type: 'BPE', vocab: { '<s>': -1 }, merges: [] } }).toThrow(/'<s>' has id -1/);
  refusal({ model: { type: 'BPE', vocab: { '<s>': 2 ** 40 }, merges: [] } }).toThrow(/has id 1099511627776/);
  refusal({ model: { type: 'Nothing', vocab: { '<s>': 0 } } }).toThrow(/model is Nothing, expected BPE/);
  refusal({ model: { type: 'BPE', vocab: { '<s>': 0 } } }).toThrow(/does not take it/);
  refusal({ model: { ...json.model, merges: {} } }).toThrow(/merges are no list/);
  refusal({ model: { ...json.model, merges: ['a b', 'a b c'] } }).toThrow(/merge 1 is "a b c"/);
  refusal({ ...json, added_tokens: {} }).toThrow(/added_tokens are no list/);
});

const MODELS = new URL('../../../../../shared/models/', import.meta.url);
it.for([
  ['gpt2-tokenizer/', 'cases.json', true],
  ['stories260K/', 'tokenizer_cases.json', false],
] as const)('reproduces the recorded ids of %s', ([folder, cases, isFast], context) => {
  const at = new URL(folder, MODELS);
  if (!existsSync(at)) return context.skip(`${at.pathname} is not on this machine`);
  const tokenizer = Tokenizer.parse(readFileSync(new URL('tokenizer.json', at), 'utf8'));
  expect(tokenizer.isFast).toBe(isFast);
  const list = JSON.parse(readFileSync(new URL(cases, at), 'utf8')) as { text: string; ids: number[] }[];
  expect(list.length).toBeGreaterThan(8);
  for (const { text, ids } of list) expect([...(isFast ? [] : [tokenizer.endOfText]), ...tokenizer.encode(text)], text).toEqual(ids);
});
