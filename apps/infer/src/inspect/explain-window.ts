/** One window of tokens under a model: what it looked up at each, and the losses with and without f-grams. */
import type { FgramSet, Tokenizer } from '@sconelm/ngram-miner';
import type { Engine } from '../engine/engine.js';
import type { LookUp, TokenScore } from '../engine/request.js';
import { describeLookUps, describeScore, tokenText } from './describe.js';
import type { InspectedToken } from './messages.js';

export interface ExplainedModel {
  readonly engine: Engine;
  readonly tokenizer: Tokenizer;
  /** Absent for a plain decoder. */
  readonly fgrams?: FgramSet | undefined;
}

export interface ExplainOptions {
  /** Tokens of the longest f-gram that may stand in; absent: no limit. */
  readonly fgramLimit?: number | undefined;
  /** So many of the likeliest tokens at each place. */
  readonly alternatives?: number;
  readonly owner?: string;
  readonly signal?: AbortSignal | undefined;
}

/** @param tokens at most the context; the first has no loss @throws as `engine.generate` does */
export async function explainWindow(
  { engine, tokenizer, fgrams }: ExplainedModel,
  tokens: readonly number[],
  { fgramLimit, alternatives = 0, ...rest }: ExplainOptions,
): Promise<InspectedToken[]> {
  const read = (limit: number | undefined, told: number) =>
    scorePrompt(engine, {
      ...rest,
      prompt: tokens,
      maxTokens: 0,
      sampling: {},
      stopTokens: new Set(),
      scoresPrompt: true,
      tellsLookUps: true,
      fgramLimit: limit,
      alternatives: told,
    });
  // At once, in two slots where there are as many.
  const [{ scores, lookUps }, without] = await Promise.all([read(fgramLimit, alternatives), fgrams === undefined ? undefined : read(1, 0)]);
  const used = describeLookUps(fgrams, tokenizer, lookUps);
  return tokens.map((token, i) => {
    const plain = without?.scores[i];
    return {
      text: tokenText(tokenizer, token),
      ...(used[i] === undefined ? {} : { fgram: used[i] }),
      ...describeScore(tokenizer, scores[i]),
      ...(plain === undefined ? {} : { lossWithout: -plain.logProbability }),
    };
  });
}

async function scorePrompt(engine: Engine, request: Parameters<Engine['generate']>[0]) {
  const lookUps: LookUp[] = [];
  let scores: readonly (TokenScore | undefined)[] = [];
  for await (const event of engine.generate(request)) {
    if (event.kind === 'look-up') lookUps.push(event);
    else if (event.kind === 'prompt') scores = event.scores;
  }
  return { scores, lookUps };
}
