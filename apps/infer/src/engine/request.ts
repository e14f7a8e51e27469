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

export type FinishReason = 'stop' | 'length';

export type GenerationEvent =
  /** One score per token of the prompt; the first has none. */
  | { readonly kind: 'prompt'; readonly scores: readonly (TokenScore | undefined)[] }
  | { readonly kind: 'token'; readonly token: number; readonly score?: TokenScore }
  | { readonly kind: 'end'; readonly reason: FinishReason; readonly times: RequestTimes };
