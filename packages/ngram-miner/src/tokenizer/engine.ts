import type { TokenList } from './token-list.js';

/** What a kind of tokenizer does; texts are UTF-8. */
export interface Engine {
  /** Appends the ids of a text. */
  encode(utf8: Uint8Array, into: TokenList): void;
  /** The bytes ids stand for. */
  decode(ids: ArrayLike<number>): Uint8Array;
}
