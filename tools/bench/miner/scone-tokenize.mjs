/** The tokenizer of this repository. */
import { Tokenizer } from '@sconelm/ngram-miner/tokenizer';
import { tokenize } from './tokenizing.mjs';

await tokenize(async (json) => {
  const tokenizer = Tokenizer.parse(json);
  return (document) => tokenizer.encode(document);
});
