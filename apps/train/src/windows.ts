/** Training windows: every window of the stream once per epoch, in an order that only the seed decides. */
import { seedFor, uniform } from '@sconelm/decoder';
import { TrainError } from './errors.js';

export interface WindowBatch {
  /** [B·T] */
  readonly tokens: Int32Array<ArrayBuffer>;
  /** [B·T]: the token after each. */
  readonly targets: Int32Array<ArrayBuffer>;
  /** [B·T]: length of the longest f-gram that ends at each token; 1 for none. */
  readonly lengths: Uint8Array<ArrayBuffer>;
}

export class Windows {
  readonly count: number;
  readonly #tokens: ArrayLike<number>;
  readonly #lengths: Uint8Array;
  readonly #T: number;
  readonly #seed: number;
  #epoch = -1;
  #order: Uint32Array = new Uint32Array();

  /** @throws {TrainError} TRAIN_DATA_SHORT if there is not one window */
  constructor(tokens: ArrayLike<number>, lengths: Uint8Array, { T, seed }: { readonly T: number; readonly seed: number }) {
    this.count = Math.floor((tokens.length - 1) / T);
    if (this.count < 1)
      throw new TrainError(
        'TRAIN_DATA_SHORT',
        `${tokens.length} tokens are fewer than one window of ${T} and its targets`,
        'Give more text, or a shorter context.',
      );
    this.#tokens = tokens;
    this.#lengths = lengths;
    this.#T = T;
    this.#seed = seed;
  }

  /** The windows of step `step`: a pure function of the seed. @param step 0, 1, .. @param B windows per step */
  batch(step: number, B: number): WindowBatch {
    const T = this.#T;
    const result = { tokens: new Int32Array(B * T), targets: new Int32Array(B * T), lengths: new Uint8Array(B * T) };
    for (let b = 0; b < B; b++) {
      const index = step * B + b;
      this.#shuffle(Math.floor(index / this.count));
      const start = this.#order[index % this.count] * T;
      for (let t = 0; t < T; t++) {
        result.tokens[b * T + t] = this.#tokens[start + t];
        result.targets[b * T + t] = this.#tokens[start + t + 1];
        result.lengths[b * T + t] = this.#lengths[start + t];
      }
    }
    return result;
  }

  #shuffle(epoch: number): void {
    if (epoch === this.#epoch) return;
    const seed = seedFor(this.#seed, `epoch ${epoch}`);
    const order = Uint32Array.from({ length: this.count }, (_, i) => i);
    for (let i = this.count - 1; i > 0; i--) {
      const j = Math.floor(uniform(seed, i) * (i + 1));
      [order[i], order[j]] = [order[j], order[i]];
    }
    this.#order = order;
    this.#epoch = epoch;
  }
}
