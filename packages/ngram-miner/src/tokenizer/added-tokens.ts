/** Tokens that stand in the text under their own name: a text is cut at them, the longest first, before anything else is done to it. */
import { CharacterClasses, lastCharacter, nextCharacter, SPACE } from './character-class.js';
import type { AddedToken } from './tokenizer-json.js';

/** What is trimmed beside a token that says so. */
const BLANKS = new CharacterClasses(/\s/u);

export class AddedTokens {
  /** A trie: (node, byte) -> node. */
  readonly #edges = new Map<number, number>();
  readonly #tokens: (AddedToken | undefined)[] = [undefined];
  readonly #firstBytes = new Uint8Array(256);

  constructor(tokens: readonly AddedToken[]) {
    const utf8 = new TextEncoder();
    for (const token of tokens) {
      let node = 0;
      const bytes = utf8.encode(token.content);
      if (bytes.length === 0) continue;
      this.#firstBytes[bytes[0]] = 1;
      for (const byte of bytes) {
        const key = node * 256 + byte;
        const next = this.#edges.get(key) ?? this.#tokens.push(undefined) - 1;
        this.#edges.set(key, next);
        node = next;
      }
      this.#tokens[node] = token;
    }
  }

  /** Calls `onText` with each range between tokens that is not empty and `onToken` with each token, in order. */
  split(bytes: Uint8Array, onText: (at: number, end: number) => void, onToken: (id: number) => void): void {
    let start = 0;
    for (let i = 0; i < bytes.length; ) {
      const token = this.#firstBytes[bytes[i]] === 1 ? this.#match(bytes, i) : undefined;
      if (token === undefined) {
        i++;
        continue;
      }
      const end = token.lstrip ? trimEnd(bytes, start, i) : i;
      if (end > start) onText(start, end);
      onToken(token.id);
      i += this.#matchedBytes;
      start = token.rstrip ? BLANKS.runEnd(bytes, i, bytes.length, SPACE) : i;
      if (start > i) i = start;
    }
    if (start < bytes.length) onText(start, bytes.length);
  }

  #matchedBytes = 0;

  #match(bytes: Uint8Array, at: number): AddedToken | undefined {
    let found: AddedToken | undefined;
    let node: number | undefined = 0;
    for (let i = at; i < bytes.length; i++) {
      node = this.#edges.get(node * 256 + bytes[i]);
      if (node === undefined) break;
      if (this.#tokens[node] === undefined) continue;
      found = this.#tokens[node];
      this.#matchedBytes = i + 1 - at;
    }
    return found;
  }
}

function trimEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = end;
  while (at > start) {
    const last = lastCharacter(bytes, start, at);
    if (BLANKS.at(bytes, last) !== SPACE || nextCharacter(bytes, last, at) !== at) break;
    at = last;
  }
  return at;
}
