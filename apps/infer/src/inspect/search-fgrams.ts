/** F-grams by rank, and those that hold a text. A set may be large, so a search looks at a bounded piece of it and lets others work meanwhile. */
import type { FgramSet, Tokenizer } from '@sconelm/ngram-miner';
import { describeFgram } from './describe.js';
import type { FgramPage, InspectedFgram } from './messages.js';

export interface FgramQuery {
  /** Upper and lower case are the same; empty: all. */
  readonly text: string;
  /** The first rank that is looked at. */
  readonly fromRank: number;
  /** F-grams told. */
  readonly limit: number;
  readonly signal?: AbortSignal | undefined;
}

/** F-grams that one search looks at. */
const MOST = 300_000;
/** Milliseconds without a turn of the event loop. */
const STRETCH = 4;

export async function searchFgrams(set: FgramSet, tokenizer: Tokenizer, { text, fromRank, limit, signal }: FgramQuery): Promise<FgramPage> {
  const wanted = text.toLowerCase();
  const end = Math.min(set.size, fromRank - 1 + MOST);
  const fgrams: InspectedFgram[] = [];
  let rested = performance.now();
  let id = fromRank - 1;
  for (; id < end && fgrams.length < limit; id++) {
    if (wanted === '' || tokenizer.decode(set.tokensOf(id)).toLowerCase().includes(wanted)) fgrams.push(describeFgram(set, tokenizer, id));
    if (performance.now() - rested < STRETCH) continue;
    await new Promise(setImmediate);
    signal?.throwIfAborted();
    rested = performance.now();
  }
  return { fgrams, exact: exactly(set, tokenizer, text), lastRank: Math.min(id, set.size), isWhole: id >= set.size };
}

/** At most two: a text inside of a line begins with a blank. */
function exactly(set: FgramSet, tokenizer: Tokenizer, text: string): InspectedFgram[] {
  if (text === '') return [];
  return [text, ` ${text}`].flatMap((spelling) => {
    const id = set.idOf(tokenizer.encode(spelling));
    return id < 0 ? [] : [describeFgram(set, tokenizer, id)];
  });
}
