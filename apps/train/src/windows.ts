/** Training windows: every window of the stream once per epoch, in an order that only the seed decides. */
import { seedFor, uniform } from '@sconelm/decoder';
import type { FgramMatcher } from '@sconelm/fgram-model';
import { TrainError } from './errors.js';

export interface WindowBatch {
  /** [B·T] */
  readonly tokens: Int32Array<ArrayBuffer>;
  /** [B·T]: the token after each. */
  readonly targets: Int32Array<ArrayBuffer>;
  /** [B·T]: length of the longest f-gram that ends at each token; 1 for none. */
  readonly lengths: Uint8Array<ArrayBuffer>;
  /** [B·T]: its id, the match cut at the window's start; −1 for none. Only where the windows were given a matcher. */
  readonly ids?: Int32Array<ArrayBuffer>;
}

export interface WindowOptions {
  /** Window length. */
  readonly T: number;
  readonly seed: number;
  /** Probability that a position's f-gram is left out, so that its token's own embedding is trained. */
  readonly fgramDropout?: number;
  /** Tells ids; residual rows need them. */
  readonly matcher?: FgramMatcher;
}

export class Windows {
  readonly count: number;
  readonly #tokens: ArrayLike<number>;
  readonly #lengths: Uint8Array;
  readonly #options: WindowOptions;
  #epoch = -1;
  #order: Uint32Array = new Uint32Array();

  /** @throws {TrainError} TRAIN_DATA_SHORT if there is not one window */
  constructor(tokens: ArrayLike<number>, lengths: Uint8Array, options: WindowOptions) {
    const { T } = options;
    this.count = Math.floor((tokens.length - 1) / T);
    if (this.count < 1)
      throw new TrainError(
        'TRAIN_DATA_SHORT',
        `${tokens.length} tokens are fewer than one window of ${T} and its targets`,
        'Give more text, or a shorter context.',
      );
    this.#tokens = tokens;
    this.#lengths = lengths;
    this.#options = options;
  }

  /** The windows of step `step`: a pure function of the seed. @param step 0, 1, .. @param B windows per step */
  batch(step: number, B: number): WindowBatch {
    const { T, matcher, seed, fgramDropout = 0 } = this.#options;
    const ids = matcher === undefined ? undefined : new Int32Array(B * T);
    const result = { tokens: new Int32Array(B * T), targets: new Int32Array(B * T), lengths: new Uint8Array(B * T) };
    const dropping = seedFor(seed, `f-gram dropout ${step}`);
    for (let b = 0; b < B; b++) {
      const index = step * B + b;
      this.#shuffle(Math.floor(index / this.count));
      const start = this.#order[index % this.count] * T;
      matcher?.reset();
      for (let t = 0; t < T; t++) {
        result.tokens[b * T + t] = this.#tokens[start + t];
        result.targets[b * T + t] = this.#tokens[start + t + 1];
        const isDropped = fgramDropout > 0 && uniform(dropping, b * T + t) < fgramDropout;
        result.lengths[b * T + t] = isDropped ? 1 : this.#lengths[start + t];
        if (ids !== undefined && matcher !== undefined) ids[b * T + t] = matcher.push(this.#tokens[start + t]);
      }
    }
    return ids === undefined ? result : { ...result, ids };
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
