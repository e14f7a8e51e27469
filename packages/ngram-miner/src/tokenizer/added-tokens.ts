/** Tokens that stand in the text under their own name: a text is cut at them, the longest first, before it is cut into pieces. */
import type { AddedToken } from './tokenizer-json.js';

export class AddedTokens {
  /** A trie: (node, byte) -> node. */
  readonly #edges = new Map<number, number>();
  /** Id of the token that ends at a node. */
  readonly #ids: (number | undefined)[] = [undefined];
  /** Whether a token starts with a byte. */
  readonly #starts = new Uint8Array(256);

  constructor(tokens: readonly Pick<AddedToken, 'id' | 'content'>[]) {
    const utf8 = new TextEncoder();
    for (const { id, content } of tokens) {
      const bytes = utf8.encode(content);
      if (bytes.length === 0) continue;
      this.#starts[bytes[0]] = 1;
      let node = 0;
      for (const byte of bytes) {
        const key = node * 256 + byte;
        const next = this.#edges.get(key) ?? this.#ids.push(undefined) - 1;
        this.#edges.set(key, next);
        node = next;
      }
      this.#ids[node] = id;
    }
  }

  /** Calls `onText` with each text between tokens that is not empty and `onToken` with each token, in order. */
  split(bytes: Uint8Array, onText: (text: Uint8Array) => void, onToken: (id: number) => void): void {
    let start = 0;
    for (let i = 0; i < bytes.length; ) {
      const found = this.#starts[bytes[i]] === 1 ? this.#longestAt(bytes, i) : undefined;
      if (found === undefined) {
        i++;
        continue;
      }
      if (i > start) onText(bytes.subarray(start, i));
      onToken(found.id);
      i = found.end;
      start = i;
    }
    if (start < bytes.length) onText(bytes.subarray(start));
  }

  #longestAt(bytes: Uint8Array, at: number): { readonly id: number; readonly end: number } | undefined {
    let found: { id: number; end: number } | undefined;
    let node: number | undefined = 0;
    for (let i = at; i < bytes.length; i++) {
      node = this.#edges.get(node * 256 + bytes[i]);
      if (node === undefined) break;
      const id = this.#ids[node];
      if (id !== undefined) found = { id, end: i + 1 };
    }
    return found;
  }
}
