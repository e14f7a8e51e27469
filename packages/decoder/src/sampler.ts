/**
 * Choosing the next token. Logits become others (bias, penalties), then candidates with weights (temperature, min-p, top-k, top-p, in this order,
 * as vLLM does it), then one token. Each step is a function of numbers alone.
 */
import { DecoderError } from './errors.js';
import { largest } from './largest.js';
import { uniform } from './random.js';

export interface SamplingOptions {
  /** 0 is greedy. Default 1. */
  readonly temperature?: number | undefined;
  /** Only the k most likely tokens. */
  readonly topK?: number | undefined;
  /** Only the most likely tokens whose probabilities sum to p. [Holtzman et al., 2020] */
  readonly topP?: number | undefined;
  /** Only tokens at least `minP` times as likely as the most likely one. [Nguyen et al., 2024] */
  readonly minP?: number | undefined;
  /** Divides positive logits of tokens that occurred, in the prompt too, and multiplies negative ones. [Keskar et al., 2019] */
  readonly repetitionPenalty?: number | undefined;
  /** Taken from the logit of every token that was generated. */
  readonly presencePenalty?: number | undefined;
  /** Taken from the logit of a token each time it was generated. */
  readonly frequencyPenalty?: number | undefined;
  /** Added to the logits of these tokens. */
  readonly logitBias?: ReadonlyMap<number, number> | undefined;
  /** The same seed, options and logits give the same tokens. */
  readonly seed?: number | undefined;
}

type Range = readonly [least: number, most: number, says: string];

const RANGES: Readonly<Record<Exclude<keyof SamplingOptions, 'logitBias'>, Range>> = {
  temperature: [0, Number.MAX_VALUE, '0 (greedy) or more'],
  topK: [1, Infinity, '1 or more'],
  topP: [Number.MIN_VALUE, 1, 'a number above 0 and at most 1'],
  minP: [0, 1, 'a number of 0 to 1'],
  repetitionPenalty: [Number.MIN_VALUE, Number.MAX_VALUE, 'a number above 0'],
  presencePenalty: [-Number.MAX_VALUE, Number.MAX_VALUE, 'a number'],
  frequencyPenalty: [-Number.MAX_VALUE, Number.MAX_VALUE, 'a number'],
  seed: [0, Number.MAX_SAFE_INTEGER, '0 or more'],
};

/** @throws {DecoderError} SAMPLING_OPTION, naming the option */
export function expectSampling(options: SamplingOptions): void {
  for (const [name, [least, most, says]] of Object.entries(RANGES)) {
    const value = options[name as keyof typeof RANGES];
    if (value === undefined || (value >= least && value <= most)) continue;
    throw new DecoderError('SAMPLING_OPTION', `${name} is ${value}`, `Use ${says}.`);
  }
}

/** What a text has so far, for penalties. */
export interface TokenCounts {
  /** Tokens of the prompt. */
  readonly prompt: ReadonlySet<number>;
  /** Generated tokens, and how often each was. */
  readonly generated: ReadonlyMap<number, number>;
}

/** The logits with bias and penalties: the very ones where there are none, else a copy. @param logits [V] */
export function adjustLogits(logits: Float32Array, { prompt, generated }: TokenCounts, options: SamplingOptions): Float32Array {
  const { repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0, logitBias } = options;
  const isPenalised = repetitionPenalty !== 1 || presencePenalty !== 0 || frequencyPenalty !== 0;
  if (!isPenalised && (logitBias === undefined || logitBias.size === 0)) return logits;
  const adjusted = logits.slice();
  for (const [token, bias] of logitBias ?? []) if (token < adjusted.length) adjusted[token] += bias;
  if (repetitionPenalty !== 1) {
    for (const token of new Set([...prompt, ...generated.keys()]))
      adjusted[token] = adjusted[token] > 0 ? adjusted[token] / repetitionPenalty : adjusted[token] * repetitionPenalty;
  }
  for (const [token, count] of generated) adjusted[token] -= presencePenalty + frequencyPenalty * count;
  return adjusted;
}

/** Tokens that may come next, and how much each weighs. */
export interface Candidates {
  readonly tokens: Uint32Array;
  /** Positive; not normalised. */
  readonly weights: Float64Array;
}

/** How many candidates are looked for at first; eight times as many each time they do not suffice. */
const FIRST_CANDIDATES = 64;

/** @param logits [V] @returns all that the options leave, descending where top-k or top-p choose, else by id; at least one @throws {DecoderError} LOGITS */
export function candidatesOf(logits: Float32Array, options: SamplingOptions): Candidates {
  const { temperature = 1, topK = Infinity, topP = 1, minP = 0 } = options;
  const [best] = largest(logits, 1);
  if (best === undefined || !Number.isFinite(logits[best])) {
    throw new DecoderError('LOGITS', `the largest logit is ${best === undefined ? 'NaN' : logits[best]}`, 'Check the model’s weights.');
  }
  if (temperature === 0) return { tokens: Uint32Array.of(best), weights: Float64Array.of(1) };
  // Plain loops: the vocabulary is gone through at every token.
  const all = new Float64Array(logits.length);
  let left = 0;
  let mass = 0;
  for (let token = 0; token < logits.length; token++) {
    const weight = Math.exp((logits[token] - logits[best]) / temperature);
    if (!(weight > 0 && weight >= minP)) continue;
    all[token] = weight;
    left += 1;
    mass += weight;
  }
  const most = Math.min(topK, left);
  if (most === left && topP === 1) return everyWeighed(all, left);
  // The mass that top-p is a share of: where top-k cuts it is known once all k are found.
  const isCut = most < left;
  let wanted = isCut ? most : Math.min(most, FIRST_CANDIDATES);
  for (;;) {
    const tokens = largest(logits, wanted);
    const weights = new Float64Array(tokens.length);
    let found = 0;
    for (let i = 0; i < tokens.length; i++) {
      weights[i] = all[tokens[i]];
      found += weights[i];
    }
    const enough = topP * (isCut ? found : mass);
    let sum = 0;
    let count = 0;
    while (count < tokens.length && (sum < enough || topP === 1)) sum += weights[count++];
    if (sum >= enough || wanted >= most) return { tokens: tokens.subarray(0, count), weights: weights.subarray(0, count) };
    wanted = Math.min(most, wanted * 8);
  }
}

/** All tokens that weigh something. @param weights [V] @param count how many they are */
function everyWeighed(weights: Float64Array, count: number): Candidates {
  const found = { tokens: new Uint32Array(count), weights: new Float64Array(count) };
  let at = 0;
  for (let token = 0; at < count; token++) {
    if (weights[token] === 0) continue;
    found.tokens[at] = token;
    found.weights[at++] = weights[token];
  }
  return found;
}

/** The candidate at `draw` of the whole weight. @param draw in [0, 1) */
export function pick({ tokens, weights }: Candidates, draw: number): number {
  let mass = 0;
  for (let i = 0; i < weights.length; i++) mass += weights[i];
  let rest = draw * mass;
  for (let i = 0; i < tokens.length - 1; i++) {
    rest -= weights[i];
    if (rest < 0) return tokens[i];
  }
  return tokens[tokens.length - 1];
}

/** Log of Σ exp(logit): logits less this are log-probabilities in nats. */
export function logSumExp(logits: Float32Array): number {
  let top = -Infinity;
  for (const logit of logits) if (logit > top) top = logit;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - top);
  return top + Math.log(sum);
}

/** Chooses the tokens of one text, one after the other. */
export class Sampler {
  readonly #options: SamplingOptions;
  readonly #prompt: ReadonlySet<number>;
  readonly #generated = new Map<number, number>();
  #drawn = 0;

  /** @param prompt tokens before the first choice @throws {DecoderError} SAMPLING_OPTION */
  constructor(options: SamplingOptions = {}, prompt: Iterable<number> = []) {
    expectSampling(options);
    this.#options = options;
    this.#prompt = new Set(prompt);
  }

  /** The next token. @param logits [V], left as they are @throws {DecoderError} LOGITS */
  next(logits: Float32Array): number {
    const adjusted = adjustLogits(logits, { prompt: this.#prompt, generated: this.#generated }, this.#options);
    const token = pick(candidatesOf(adjusted, this.#options), uniform(this.#options.seed ?? 0, this.#drawn++));
    this.#generated.set(token, (this.#generated.get(token) ?? 0) + 1);
    return token;
  }
}
