/** A generation, told step by step: each token, what might have stood in its place, what was looked up for it. */
import type { FgramSet, Tokenizer } from '@sconelm/ngram-miner';
import type { GenerationEvent, LookUp } from '../engine/request.js';
import { describeFgram, describeLookUps, describeScore, tokenText } from './describe.js';
import type { GenerateMessage, InspectedFgram } from './messages.js';

export interface InspectedGeneration {
  readonly tokenizer: Tokenizer;
  readonly fgrams?: FgramSet | undefined;
  readonly prompt: readonly number[];
  readonly fgramLimit?: number | undefined;
}

/** @param events of a request that scores its prompt and tells look-ups */
export async function* inspectGeneration(
  events: AsyncIterable<GenerationEvent>,
  { tokenizer, fgrams, prompt, fgramLimit = Infinity }: InspectedGeneration,
): AsyncGenerator<GenerateMessage, void> {
  const lookUps: LookUp[] = [];
  const matcher = fgrams?.matcher(tokenizer.endOfText);
  for (const token of prompt) matcher?.push(token);
  /** The f-gram that will be looked up for a token that was chosen just now. */
  const matched = (token: number): InspectedFgram | undefined => {
    if (fgrams === undefined || matcher === undefined) return undefined;
    matcher.push(token);
    const id = matcher.idOfLength(Math.min(matcher.length, fgramLimit));
    return id < 0 ? undefined : describeFgram(fgrams, tokenizer, id);
  };
  for await (const event of events) {
    if (event.kind === 'look-up') {
      if (event.from < prompt.length) lookUps.push(event);
      else if (event.fgrams[0] !== undefined) yield { kind: 'look-up', tier: event.fgrams[0].tier, lookUpMs: event.ms };
    } else if (event.kind === 'prompt') {
      const used = describeLookUps(fgrams, tokenizer, lookUps);
      const tokens = prompt.map((token, i) => ({
        text: tokenText(tokenizer, token),
        ...(used[i] === undefined ? {} : { fgram: used[i] }),
        ...describeScore(tokenizer, event.scores[i]),
      }));
      yield { kind: 'prompt', tokens };
    } else if (event.kind === 'token') {
      const fgram = matched(event.token);
      const token = { text: tokenText(tokenizer, event.token), ...(fgram && { fgram }), ...describeScore(tokenizer, event.score) };
      yield { kind: 'token', token };
    } else yield { kind: 'end', reason: event.reason };
  }
}
