import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Tokenizer } from './tokenizer.js';
import { trainTokenizer } from './train.js';

const TEXT = 'the people of the United States, the fiscal year ending in 1862; it’s the people’s year. '.repeat(20);

describe('a trained tokenizer', () => {
  const json = trainTokenizer([TEXT], { vocabSize: 300 });
  const tokenizer = Tokenizer.parse(json);

  it('gives any text back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), (text) => {
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
      }),
    );
  });

  it('is the same for the same text, and shortens it', () => {
    expect(trainTokenizer([TEXT], { vocabSize: 300 })).toEqual(json);
    expect(tokenizer.vocabSize).toBe(300);
    expect(tokenizer.encode(TEXT).length).toBeLessThan(TEXT.length / 3);
  });

  it('refuses what it is not', () => {
    expect(() => Tokenizer.parse('{')).toThrow(/not JSON/);
    expect(() => Tokenizer.parse({ model: { type: 'BPE', vocab: { '<s>': -1 }, merges: [] } })).toThrow(/id -1/);
    expect(() => Tokenizer.parse({ model: { type: 'Nothing', vocab: { '<s>': 0 } } })).toThrow(/model is Nothing, expected BPE/);
    expect(() => trainTokenizer([''], { vocabSize: 300 })).toThrow(/no text/);
  });
});

it('reproduces the ids of GPT-2', (context) => {
  const folder = new URL('../../../../../shared/models/gpt2-tokenizer/', import.meta.url);
  if (!existsSync(folder)) return context.skip('GPT-2’s tokenizer is not on this machine');
  const tokenizer = Tokenizer.parse(readFileSync(new URL('tokenizer.json', folder), 'utf8'));
  const cases: unknown = JSON.parse(readFileSync(new URL('cases.json', folder), 'utf8'));
  const list = (Array.isArray(cases) ? cases : (cases as { cases: unknown[] }).cases) as { text: string; ids: number[] }[];
  expect(list.length).toBeGreaterThan(0);
  for (const { text, ids } of list) if (!text.includes('<|')) expect([...tokenizer.encode(text)], text).toEqual(ids);
});
