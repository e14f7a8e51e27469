/** The bytes each token of a byte-level tokenizer stands for; an added token stands for its own name. */
import { CHARACTER_TO_BYTE } from './byte-level.js';

export class TokenBytes {
  readonly #bytes: readonly (Uint8Array | undefined)[];

  constructor(vocabulary: ReadonlyMap<string, number>, added: ReadonlySet<string>) {
    const utf8 = new TextEncoder();
    const bytes: (Uint8Array | undefined)[] = [];
    for (const [token, id] of vocabulary) {
      const known = added.has(token) ? undefined : Array.from(token, (character) => CHARACTER_TO_BYTE.get(character));
      bytes[id] = known === undefined || known.includes(undefined) ? utf8.encode(token) : Uint8Array.from(known as number[]);
    }
    this.#bytes = bytes;
  }

  /** Ids that have no token stand for nothing. */
  of(ids: ArrayLike<number>): Uint8Array {
    let length = 0;
    for (let i = 0; i < ids.length; i++) length += this.#bytes[ids[i]]?.length ?? 0;
    const joined = new Uint8Array(length);
    let at = 0;
    for (let i = 0; i < ids.length; i++) {
      const bytes = this.#bytes[ids[i]];
      if (bytes === undefined) continue;
      joined.set(bytes, at);
      at += bytes.length;
    }
    return joined;
  }
}
