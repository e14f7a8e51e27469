/** Which f-gram the model looked up at each token of a text. */
import type { FgramSet } from '@sconelm/ngram-miner/fgrams';
import type { Tokenizer } from '@sconelm/ngram-miner/tokenizer';

export interface TokenMatch {
  readonly token: number;
  readonly text: string;
  /** The longest f-gram that ends here; absent where none does. */
  readonly fgram?: { readonly id: number; readonly length: number; readonly text: string; readonly count: number };
}

/** Told a text token by token, it says of each what was looked up. @param set absent for a plain decoder */
export function tokenMatcher(set: FgramSet | undefined, tokenizer: Tokenizer): (token: number) => TokenMatch {
  const matcher = set?.matcher(tokenizer.endOfText);
  return (token) => {
    const id = matcher?.push(token) ?? -1;
    const named = { token, text: tokenizer.tokenText(token) };
    if (set === undefined || matcher === undefined || id < 0) return named;
    return { ...named, fgram: { id, length: matcher.length, text: tokenizer.decode(set.tokensOf(id)), count: set.countOf(id) } };
  };
}

/** @param set absent for a plain decoder */
export function matchesOf(set: FgramSet | undefined, tokenizer: Tokenizer, tokens: readonly number[]): TokenMatch[] {
  return tokens.map(tokenMatcher(set, tokenizer));
}
