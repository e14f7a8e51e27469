/** node tokenize.mjs NAME: other tokenizers with GPT-2's vocabulary; names of special tokens in a text are text. */
import { createRequire } from 'node:module';
import process from 'node:process';
import { tokenize } from '../miner/tokenizing.mjs';

const require = createRequire(import.meta.url);
const OPEN = {
  tiktoken: async () => {
    const { get_encoding } = require('tiktoken');
    const encoding = get_encoding('gpt2');
    return (document) => encoding.encode(document, [], []);
  },
  'gpt-tokenizer': async () => {
    const { encode } = require('gpt-tokenizer/encoding/r50k_base');
    const plain = { allowedSpecial: new Set(), disallowedSpecial: new Set() };
    return (document) => encode(document, plain);
  },
  'huggingface-js': async (json) => {
    const { Tokenizer } = require('@huggingface/tokenizers');
    const tokenizer = new Tokenizer({ ...JSON.parse(json), added_tokens: [] }, {});
    return (document) => tokenizer.encode(document).ids;
  },
  'huggingface-native': async (json) => {
    const { Tokenizer } = require('tokenizers');
    const tokenizer = Tokenizer.fromString(JSON.stringify({ ...JSON.parse(json), added_tokens: [] }));
    return async (document) => (await tokenizer.encode(document, null, { addSpecialTokens: false })).getIds();
  },
};
// The name precedes the question, which is the last argument.
const [name] = process.argv.splice(2, 1);
await tokenize(OPEN[name]);
