/** Hostile tokenizer.json files are refused with code and remedy, or understood; encoding and decoding with them comes to an end. */
import { expect, test } from 'vitest';
import { forHostileJson } from '../../../../tools/faults/index.mjs';
import { Tokenizer, trainTokenizer } from '../index.js';

const trained = trainTokenizer(['the cat sat on the mat'], { vocabSize: 270 });
const vocab = { a: 0, b: 1, ab: 2, '<|endoftext|>': 3 };
const byteLevel = { ...trained, model: { ...trained.model, vocab, merges: [['a', 'b']] } };
const wordPiece = {
  version: '1.0',
  added_tokens: [
    { id: 0, content: '[UNK]', special: true },
    { id: 1, content: '[CLS]', special: true },
  ],
  normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true },
  pre_tokenizer: { type: 'BertPreTokenizer' },
  post_processor: null,
  decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
  model: {
    type: 'WordPiece',
    unk_token: '[UNK]',
    continuing_subword_prefix: '##',
    max_input_chars_per_word: 100,
    vocab: { '[UNK]': 0, '[CLS]': 1, a: 2, '##b': 3 },
  },
};
const unigram = {
  version: '1.0',
  added_tokens: [
    { id: 0, content: '<unk>', special: true },
    { id: 1, content: '</s>', special: true },
  ],
  normalizer: { type: 'Precompiled', precompiled_charsmap: '' },
  pre_tokenizer: { type: 'Metaspace', replacement: '\u2581', prepend_scheme: 'always', split: true },
  post_processor: null,
  decoder: { type: 'Metaspace', replacement: '\u2581', prepend_scheme: 'always', split: true },
  model: {
    type: 'Unigram',
    unk_id: 0,
    vocab: [
      ['<unk>', 0],
      ['</s>', 0],
      ['\u2581a', -1.5],
      ['b', -2.5],
    ],
    byte_fallback: false,
  },
};

test.each(Object.entries({ 'byte-level BPE': byteLevel, WordPiece: wordPiece, Unigram: unigram }))('%s', async (_name, json) => {
  const use = async (text: string) => {
    const tokenizer = Tokenizer.parse(text);
    tokenizer.decode(tokenizer.encode('ab ba \0\ud800 12'));
  };
  await use(JSON.stringify(json));
  const seen = await forHostileJson(json, use);
  expect(seen.refused).toBeGreaterThan(100);
  expect(seen.refused).toBeLessThan(seen.tried);
});
