/** Tokens and f-grams in words. */
import type { FgramSet, Tokenizer } from '@sconelm/ngram-miner';
import type { LookUp, TokenScore } from '../engine/request.js';
import type { InspectedFgram, InspectedToken } from './messages.js';

/** A token's text, or its bytes where they are no text alone. */
export function tokenText(tokenizer: Tokenizer, token: number): string {
  const text = tokenizer.tokenText(token);
  if (!tokenizer.isFast || !text.includes('\ufffd')) return text;
  return `⟨${Array.from(tokenizer.decodeBytes([token]), (byte) => byte.toString(16).toUpperCase().padStart(2, '0')).join(' ')}⟩`;
}

export function describeFgram(set: FgramSet, tokenizer: Tokenizer, id: number): InspectedFgram {
  const tokens = set.tokensOf(id);
  return { length: tokens.length, text: tokenizer.decode(tokens), rank: id + 1, count: set.countOf(id) };
}

/** What the model said of a token. */
export function describeScore(tokenizer: Tokenizer, score: TokenScore | undefined): Pick<InspectedToken, 'loss' | 'alternatives'> {
  if (score === undefined) return {};
  const alternatives = score.top.map(({ token, logProbability }) => ({
    text: tokenText(tokenizer, token),
    probability: Math.exp(logProbability),
  }));
  return { loss: -score.logProbability, alternatives };
}

/** What was looked up for each token, in their order. @param set absent for a plain decoder */
export function describeLookUps(
  set: FgramSet | undefined,
  tokenizer: Tokenizer,
  lookUps: readonly LookUp[],
): (InspectedFgram | undefined)[] {
  return lookUps.flatMap(({ fgrams, ms }) =>
    fgrams.map((used) =>
      set === undefined || used === undefined ? undefined : { ...describeFgram(set, tokenizer, used.id), tier: used.tier, lookUpMs: ms },
    ),
  );
}
