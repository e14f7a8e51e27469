/** Longest matches of a stream of tokens, a chunk at a time: the same as over one array. */
import type { FgramSet } from '../fgrams/fgram-set.js';

/** Tokens with what ends at each; those before `start` belong to the chunk before, and what is said of them is not valid. */
export interface MatchedTokens {
  readonly tokens: Uint32Array;
  /** The longest f-gram that ends here, −1 where none. */
  readonly ids: Int32Array;
  /** Its length, 1 where none. */
  readonly lengths: Uint8Array;
  readonly start: number;
}

export class ChunkMatcher {
  readonly #set: FgramSet;
  readonly #boundary: number;
  /** Matches look back over K − 1 tokens at most. */
  #tail = new Uint32Array();
  #tokens = new Uint32Array();
  #ids = new Int32Array();
  #lengths = new Uint8Array();

  /** @param boundary the token that opens a document */
  constructor(set: FgramSet, boundary: number) {
    this.#set = set;
    this.#boundary = boundary;
  }

  /** @returns views that are valid until the next call */
  push(chunk: ArrayLike<number>): MatchedTokens {
    const start = this.#tail.length;
    const size = start + chunk.length;
    if (this.#tokens.length < size) {
      this.#tokens = new Uint32Array(size);
      this.#ids = new Int32Array(size);
      this.#lengths = new Uint8Array(size);
    }
    const tokens = this.#tokens.subarray(0, size);
    tokens.set(this.#tail);
    tokens.set(chunk, start);
    const ids = this.#ids.subarray(0, size);
    const lengths = this.#lengths.subarray(0, size);
    this.#set.match(tokens, { ids, lengths, boundary: this.#boundary });
    this.#tail = tokens.slice(-(this.#set.maxLength - 1));
    return { tokens, ids, lengths, start };
  }

  /** Forgets what came before: the next chunk starts a shard. */
  reset(): void {
    this.#tail = new Uint32Array();
  }
}
