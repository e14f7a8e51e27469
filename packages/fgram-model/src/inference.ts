/** Decoding with f-grams: each token is matched, and its row read from a store takes the place of its embedding. (SCONE, Alg. 1, inference) */
import type { DecoderConfig, DecodeSession } from '@sconelm/decoder';
import { lookUp, type RowSource } from './look-up.js';

/** Finds the longest f-gram that ends at each token. */
export interface FgramMatcher {
  /** @returns the id of the f-gram, −1 where none */
  push(token: number): number;
  /** Length of the current match; 1 where none. */
  readonly length: number;
  reset(): void;
}

/** The f-grams of a session; a plain decoder has none. */
export interface SessionFgrams {
  readonly matcher: FgramMatcher;
  readonly rows: RowSource;
}

export class FgramSession {
  /** Per token so far: length of the f-gram that ends there; 1 where none. */
  readonly lengths: number[] = [];
  readonly #session: DecodeSession;
  readonly #fgrams: SessionFgrams | undefined;

  /** @param session of the decoder, empty */
  constructor(session: DecodeSession, fgrams?: SessionFgrams) {
    this.#session = session;
    this.#fgrams = fgrams;
    fgrams?.matcher.reset();
  }

  get config(): DecoderConfig {
    return this.#session.config;
  }

  /** Tokens so far. */
  get length(): number {
    return this.#session.length;
  }

  /** Appends tokens; all rows of a chunk are read at once, and a lost one leaves its token's embedding. @returns logits of every new position, [n, V] */
  async append(tokens: ArrayLike<number>): Promise<Float32Array> {
    const ids = Array.from(tokens, (token) => {
      const id = this.#fgrams?.matcher.push(token) ?? -1;
      this.lengths.push(this.#fgrams?.matcher.length ?? 1);
      return id;
    });
    return this.#session.append(await lookUp(this.#fgrams?.rows, tokens, ids, this.config.width));
  }
}
