/** Decoding with f-grams: each token is matched, and its row read from a store takes the place of its embedding. (SCONE, Alg. 1, inference) */
import type { DecoderConfig, DecodeSession } from '@sconelm/decoder';

/** Finds the longest f-gram that ends at each token. */
export interface FgramMatcher {
  /** @returns the id of the f-gram, −1 where none */
  push(token: number): number;
  /** Length of the current match; 1 where none. */
  readonly length: number;
  reset(): void;
}

/** Where rows come from. */
export interface RowSource {
  /** @param into [ids.length, width] */
  read(ids: Uint32Array, into: Float32Array): void | Promise<void>;
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

  /** Appends tokens; all rows of a chunk are read at once. @returns logits of every new position, [n, V] */
  async append(tokens: ArrayLike<number>): Promise<Float32Array> {
    const base = Int32Array.from(tokens);
    const { width } = this.config;
    const rows = new Float32Array(base.length * width);
    const positions: number[] = [];
    const ids: number[] = [];
    base.forEach((token, i) => {
      const id = this.#fgrams?.matcher.push(token) ?? -1;
      this.lengths.push(this.#fgrams?.matcher.length ?? 1);
      if (id < 0) return;
      base[i] = -1;
      positions.push(i);
      ids.push(id);
    });
    if (this.#fgrams !== undefined && ids.length > 0) {
      const found = new Float32Array(ids.length * width);
      await this.#fgrams.rows.read(Uint32Array.from(ids), found);
      positions.forEach((position, i) => {
        rows.set(found.subarray(i * width, (i + 1) * width), position * width);
      });
    }
    return this.#session.append({ tokens: base, rows });
  }
}
