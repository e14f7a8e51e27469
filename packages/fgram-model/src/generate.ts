/** Generating tokens: sample, append, and say how long each took. */
import type { Sampler } from '@sconelm/decoder';
import type { FgramSession } from './inference.js';

export interface GeneratedToken {
  readonly token: number;
  /** Milliseconds from the logits that it was sampled from to the logits that follow it; of the last token, to its sampling. */
  readonly ms: number;
}

export interface GenerateOptions {
  readonly sampler: Sampler;
  /** At most this many tokens. */
  readonly count: number;
  /** Ends the text; it is not yielded. */
  readonly stopToken?: number;
  readonly signal?: AbortSignal;
}

/** Tokens that go on from `prompt` (at least one token), as far as the context reaches. @throws {DecoderError} CONTEXT_FULL: the prompt is too long */
export async function* generateTokens(
  session: FgramSession,
  prompt: ArrayLike<number>,
  { sampler, count, stopToken, signal }: GenerateOptions,
): AsyncGenerator<GeneratedToken, void> {
  let logits = await session.append(prompt);
  const { vocabSize, contextLength } = session.config;
  for (let i = 0; i < count && session.length < contextLength; i++) {
    signal?.throwIfAborted();
    const started = performance.now();
    const token = sampler.next(logits.subarray(logits.length - vocabSize));
    if (token === stopToken) return;
    if (i + 1 < count) logits = await session.append([token]);
    yield { token, ms: performance.now() - started };
  }
}
