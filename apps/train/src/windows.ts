/**
 * Training windows: every window of the stream once per epoch, in an order that only the seed decides. They are read and matched as they are needed,
 * so memory does not grow with the text but by four bytes a window. A match is cut at its window's start, as one that is found there is.
 */
import { seedFor, uniform } from '@sconelm/decoder';
import type { FgramMatcher } from '@sconelm/fgram-model';
import type { TokenSource } from '@sconelm/ngram-miner';
import { TrainError } from './errors.js';

export interface WindowBatch {
  /** [B·T] */
  readonly tokens: Int32Array<ArrayBuffer>;
  /** [B·T]: the token after each. */
  readonly targets: Int32Array<ArrayBuffer>;
  /** [B·T]: length of the longest f-gram that ends at each token and begins in its window; 1 for none. */
  readonly lengths: Uint8Array<ArrayBuffer>;
  /** [B·T]: its id, −1 for none. */
  readonly ids: Int32Array<ArrayBuffer>;
}

export interface WindowOptions {
  /** Window length. */
  readonly T: number;
  readonly seed: number;
  /** Probability that a position's f-gram is left out, so that its token's own embedding is trained. */
  readonly fgramDropout?: number;
  /** Finds f-grams; without it there are none. */
  readonly matcher?: FgramMatcher;
}

export class Windows {
  readonly count: number;
  readonly #tokens: TokenSource;
  readonly #options: WindowOptions;
  #epoch = -1;
  #order: Uint32Array = new Uint32Array();

  /** @throws {TrainError} TRAIN_DATA_SHORT if there is not one window */
  constructor(tokens: TokenSource, options: WindowOptions) {
    const { T } = options;
    this.count = Math.floor((tokens.length - 1) / T);
    if (this.count < 1)
      throw new TrainError(
        'TRAIN_DATA_SHORT',
        `${tokens.length} tokens are fewer than one window of ${T} and its targets`,
        'Give more text, or a shorter context.',
      );
    this.#tokens = tokens;
    this.#options = options;
  }

  /** The windows of step `step`: a pure function of the seed. @param step 0, 1, .. @param B windows per step */
  batch(step: number, B: number): WindowBatch {
    const { T, matcher, seed, fgramDropout = 0 } = this.#options;
    const result = {
      tokens: new Int32Array(B * T),
      targets: new Int32Array(B * T),
      lengths: new Uint8Array(B * T).fill(1),
      ids: new Int32Array(B * T).fill(-1),
    };
    const dropping = seedFor(seed, `f-gram dropout ${step}`);
    const window = new Int32Array(T + 1);
    for (let b = 0; b < B; b++) {
      const index = step * B + b;
      this.#shuffle(Math.floor(index / this.count));
      this.#tokens.read(this.#order[index % this.count] * T, window);
      result.tokens.set(window.subarray(0, T), b * T);
      result.targets.set(window.subarray(1), b * T);
      if (matcher === undefined) continue;
      matcher.reset();
      for (let t = 0; t < T; t++) {
        const i = b * T + t;
        const id = matcher.push(window[t]);
        if (fgramDropout > 0 && uniform(dropping, i) < fgramDropout) continue;
        result.ids[i] = id;
        result.lengths[i] = matcher.length;
      }
    }
    return result;
  }

  #shuffle(epoch: number): void {
    if (epoch === this.#epoch) return;
    const seed = seedFor(this.#options.seed, `epoch ${epoch}`);
    const order = Uint32Array.from({ length: this.count }, (_, i) => i);
    for (let i = this.count - 1; i > 0; i--) {
      const j = Math.floor(uniform(seed, i) * (i + 1));
      [order[i], order[j]] = [order[j], order[i]];
    }
    this.#order = order;
    this.#epoch = epoch;
  }
}
