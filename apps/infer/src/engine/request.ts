/** What is asked of the engine, and what comes back. */
import type { SamplingOptions } from '@sconelm/decoder';

export interface GenerationRequest {
  /** At least one token. */
  readonly prompt: ArrayLike<number>;
  /** 0: the prompt is read (and scored), nothing is generated. */
  readonly maxTokens: number;
  readonly sampling: SamplingOptions;
  /** Each of them ends the text, and is not part of it. */
  readonly stopTokens: ReadonlySet<number>;
  /** So many of the most likely tokens are told at each place; absent: no log-probabilities. */
  readonly alternatives?: number | undefined;
  /** The prompt's tokens get log-probabilities too. */
  readonly scoresPrompt?: boolean;
  /** Tokens of the longest f-gram that may stand in for a token: 1 leaves all to the decoder. Absent: no limit. */
  readonly fgramLimit?: number | undefined;
  /** Events tell what was looked up. */
  readonly tellsLookUps?: boolean;
  /** Owners take turns. */
  readonly owner?: string;
  readonly signal?: AbortSignal | undefined;
}

/** How likely a token was, as the model says it: before bias, penalties and temperature. */
export interface TokenScore {
  readonly token: number;
  /** Nats. */
  readonly logProbability: number;
  /** The most likely tokens at its place, descending. */
  readonly top: readonly { readonly token: number; readonly logProbability: number }[];
}

/** Milliseconds. */
export interface RequestTimes {
  /** From arrival to the first step. */
  readonly queued: number;
  /** From there to the first token. */
  readonly prefill: number;
  /** From there to the last token. */
  readonly decode: number;
}

/** The f-gram whose row stood in for a token. */
export interface UsedFgram {
  readonly id: number;
  /** Tokens. */
  readonly length: number;
  /** Where its row was: a name of the store's, or `lost` where it could not be had and the token stood for itself. */
  readonly tier: string;
}

/** What a step looked up for the tokens of one sequence. */
export interface LookUp {
  /** Per token; undefined where no f-gram ends. */
  readonly fgrams: readonly (UsedFgram | undefined)[];
  /** Milliseconds, in which the rows of all sequences came. */
  readonly ms: number;
}

export type FinishReason = 'stop' | 'length';

export type GenerationEvent =
  /** One score per token of the prompt; the first has none. */
  | { readonly kind: 'prompt'; readonly scores: readonly (TokenScore | undefined)[] }
  /** @property from the first token's place in the sequence */
  | ({ readonly kind: 'look-up'; readonly from: number } & LookUp)
  | { readonly kind: 'token'; readonly token: number; readonly score?: TokenScore }
  | { readonly kind: 'end'; readonly reason: FinishReason; readonly times: RequestTimes };
