/** Every other kind of tokenizer (SentencePiece, Unigram, WordPiece, unknown patterns) through Hugging Face's library, at its speed. */
import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';
import type { Engine } from './engine.js';
import { type AddedToken, type Component, partsOf, type TokenizerJson, unsupported, withSupported } from './tokenizer-json.js';

/** @param inText the added tokens that are looked for in texts @throws {MinerError} TOKENIZER_UNSUPPORTED */
export function libraryEngine(json: TokenizerJson, inText: readonly AddedToken[]): Engine {
  const all = json.added_tokens ?? [];
  // The library looks for every added token it knows, and decodes none that it does not know.
  const decoder = open(json, all);
  const encoder = inText.length === all.length ? decoder : open({ ...json, model: hide(json.model, all, inText) }, inText);
  const fromUtf8 = new TextDecoder('utf-8', { ignoreBOM: true });
  const toUtf8 = new TextEncoder();
  return {
    encode(utf8, into) {
      const { ids } = withSupported(() => encoder.encode(fromUtf8.decode(utf8), { add_special_tokens: false }));
      for (const id of ids as readonly unknown[]) {
        if (typeof id !== 'number') throw unsupported('it has no token for some of the text, and none for what is unknown');
        into.push(id);
      }
    },
    decode(ids) {
      if (ids.length === 0) return new Uint8Array();
      return toUtf8.encode(withSupported(() => decoder.decode(Array.from(ids), { clean_up_tokenization_spaces: false })));
    },
  };
}

function open(json: TokenizerJson, added: readonly AddedToken[]): LibraryTokenizer {
  const complete = {
    normalizer: null,
    post_processor: null,
    decoder: null,
    ...json,
    pre_tokenizer: preTokenizerOf(json),
    added_tokens: added,
  };
  try {
    return new LibraryTokenizer(complete, {});
  } catch (cause) {
    throw unsupported('the library of tokenizers does not take it', cause);
  }
}

/** SentencePiece's mark for a blank. */
const MARK = '▁';

/**
 * SentencePiece's BPE takes a text as one piece, for which the library needs 25 s and 300 MB a megabyte. Where no merge reaches over the
 * start of a word, words may as well be pieces of their own, and the library remembers those.
 */
function preTokenizerOf({ pre_tokenizer = null, model }: TokenizerJson): Component | null {
  const { type, merges, ignore_merges, end_of_word_suffix, continuing_subword_suffix } = model;
  if (pre_tokenizer !== null || type !== 'BPE' || !Array.isArray(merges)) return pre_tokenizer;
  if (ignore_merges || end_of_word_suffix || continuing_subword_suffix) return null;
  const isCrossed = merges.some((merge) => {
    const [left, right] = partsOf(merge) ?? ['', ''];
    return right.startsWith(MARK) && !left.endsWith(MARK);
  });
  if (isCrossed) return null;
  return { type: 'Split', pattern: { Regex: `${MARK}*[^${MARK}]+|${MARK}+` }, behavior: 'Isolated', invert: false };
}

/** A vocabulary that finds no added token in a text but those `inText`: the others get names that UTF-8 cannot spell. */
function hide(model: TokenizerJson['model'], all: readonly AddedToken[], inText: readonly AddedToken[]): TokenizerJson['model'] {
  const { vocab, unk_token, unk_id } = model;
  const hidden = new Set(all.filter((token) => !inText.includes(token)).map(({ content }) => content));
  const nameOf = (token: string, isUnknown: boolean): string => (hidden.has(token) && !isUnknown ? `\ud800${token}` : token);
  if (Array.isArray(vocab)) return { ...model, vocab: vocab.map(([token, score], id) => [nameOf(token, id === unk_id), score] as const) };
  return { ...model, vocab: Object.fromEntries(Object.entries(vocab).map(([token, id]) => [nameOf(token, token === unk_token), id])) };
}
