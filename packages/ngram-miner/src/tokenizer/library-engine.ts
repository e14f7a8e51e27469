/** Every other kind of tokenizer (SentencePiece, Unigram, WordPiece, unknown patterns) through Hugging Face's library, at its speed. */
import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';
import type { Engine } from './engine.js';
import { type AddedToken, type TokenizerJson, unsupported } from './tokenizer-json.js';

/** @param inText the added tokens that are looked for in texts @throws {MinerError} TOKENIZER_UNSUPPORTED */
export function libraryEngine(json: TokenizerJson, inText: readonly AddedToken[]): Engine {
  const open = (added: readonly AddedToken[]): LibraryTokenizer => {
    const complete = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null, ...json, added_tokens: added };
    try {
      return new LibraryTokenizer(complete, {});
    } catch (cause) {
      throw unsupported('the library of tokenizers does not take it', cause);
    }
  };
  const all = json.added_tokens ?? [];
  // The library looks for every added token it knows; decoding needs them all.
  const decoder = open(all);
  const encoder = inText.length === all.length ? decoder : open(inText);
  const utf8 = new TextEncoder();
  return {
    encode(bytes, into) {
      const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
      for (const id of encoder.encode(text, { add_special_tokens: false }).ids) into.push(id);
    },
    decode(ids) {
      if (ids.length === 0) return new Uint8Array();
      return utf8.encode(decoder.decode(Array.from(ids), { clean_up_tokenization_spaces: false }));
    },
  };
}
