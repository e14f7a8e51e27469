/** Choosing the next token: greedy, or by temperature with top-k and top-p. */
import { DecoderError } from './errors.js';
import { uniform } from './random.js';

export interface SamplingOptions {
  /** 0 is greedy. */
  readonly temperature?: number;
  /** Only the k most likely tokens. */
  readonly topK?: number;
  /** Only the most likely tokens whose probabilities sum to p. [Holtzman et al., 2020] */
  readonly topP?: number;
  readonly seed?: number;
}

export class Sampler {
  readonly #temperature: number;
  readonly #topK: number;
  readonly #topP: number;
  readonly #seed: number;
  #drawn = 0;

  /** @throws {DecoderError} SAMPLING_OPTION */
  constructor({ temperature = 1, topK = Infinity, topP = 1, seed = 0 }: SamplingOptions = {}) {
    if (!(temperature >= 0)) throw new DecoderError('SAMPLING_OPTION', `temperature is ${temperature}`, 'Use 0 (greedy) or more.');
    if (!(topK >= 1)) throw new DecoderError('SAMPLING_OPTION', `top-k is ${topK}`, 'Use 1 or more.');
    if (!(topP > 0 && topP <= 1)) throw new DecoderError('SAMPLING_OPTION', `top-p is ${topP}`, 'Use a number above 0 and at most 1.');
    this.#temperature = temperature;
    this.#topK = topK;
    this.#topP = topP;
    this.#seed = seed;
  }

  /** The next token. The same seed and logits give the same tokens. */
  next(logits: Float32Array): number {
    const order = Array.from(logits.keys()).sort((a, b) => logits[b] - logits[a] || a - b);
    const draw = uniform(this.#seed, this.#drawn++);
    if (this.#temperature === 0) return order[0];
    const kept = order.slice(0, Math.min(this.#topK, order.length));
    const weights = kept.map((token) => Math.exp((logits[token] - logits[kept[0]]) / this.#temperature));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    let count = 0;
    let mass = 0;
    while (count < kept.length && mass < this.#topP * total) mass += weights[count++];
    let rest = draw * mass;
    for (let i = 0; i < count; i++) {
      rest -= weights[i];
      if (rest < 0) return kept[i];
    }
    return kept[count - 1];
  }
}
