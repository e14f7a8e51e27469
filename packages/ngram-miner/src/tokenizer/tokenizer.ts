/** Tokenizers in the form of Hugging Face's tokenizer.json: text to ids and back. Runs in browsers. */
import { byteLevelEngine } from './byte-level-engine.js';
import type { Engine } from './engine.js';
import { libraryEngine } from './library-engine.js';
import { TokenList } from './token-list.js';
import { boundaryOf, readTokenizerJson, type TokenizerJson, vocabularyOf, withSupported } from './tokenizer-json.js';

export interface TokenizerOptions {
  /** The token that opens documents. Default: `<|endoftext|>`, else what the tokenizer puts before a text. */
  readonly boundary?: string;
  /** Whether the names of special tokens in a text are text, as in documents to train on, or those tokens. Default: `'text'`. */
  readonly specialTokens?: 'text' | 'parse';
}

export class Tokenizer {
  readonly vocabSize: number;
  /** The id that opens every document. */
  readonly endOfText: number;
  /** Whether this is byte-level BPE of a known form, which has a fast path; every other kind goes through a library. */
  readonly isFast: boolean;
  readonly #engine: Engine;
  readonly #utf8 = new TextEncoder();
  readonly #list = new TokenList();

  private constructor(json: TokenizerJson, { boundary, specialTokens = 'text' }: TokenizerOptions) {
    const vocabulary = vocabularyOf(json);
    this.vocabSize = 0;
    for (const id of vocabulary.values()) if (id >= this.vocabSize) this.vocabSize = id + 1;
    this.endOfText = boundaryOf(json, vocabulary, boundary);
    const inText = (json.added_tokens ?? []).filter((token) => specialTokens === 'parse' || token.special !== true);
    const fast = byteLevelEngine(json, vocabulary, inText);
    this.isFast = fast !== undefined;
    this.#engine = fast ?? libraryEngine(json, inText);
  }

  /** @throws {MinerError} TOKENIZER_UNSUPPORTED, TOKENIZER_BOUNDARY */
  static parse(json: string | TokenizerJson, options: TokenizerOptions = {}): Tokenizer {
    return withSupported(() => new Tokenizer(readTokenizerJson(json), options));
  }

  /** Token ids of text. A lone surrogate is taken as U+FFFD. */
  encode(text: string): Uint32Array {
    const list = this.#list;
    list.clear();
    this.#engine.encode(this.#utf8.encode(text), list);
    return list.view().slice();
  }

  /** Appends the token ids of UTF-8 text: the way without copies, for many documents. */
  encodeBytes(utf8: Uint8Array, into: TokenList): void {
    this.#engine.encode(utf8, into);
  }

  /** The bytes that tokens stand for; an added token stands for its own name. */
  decodeBytes(ids: ArrayLike<number>): Uint8Array {
    return this.#engine.decode(ids);
  }

  /** Text of tokens; bytes that are no UTF-8 become U+FFFD. */
  decode(ids: ArrayLike<number>): string {
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(this.decodeBytes(ids));
  }

  /** Text of one token inside a text: some tokenizers drop the blank of the first token. */
  tokenText(id: number): string {
    return this.decode([this.endOfText, id]).slice(this.decode([this.endOfText]).length);
  }
}
