/** Sequences of a dataset as people read them: documents' ends, f-grams and their lengths. */
import { openDataset, openFgrams, readTokens, type Split, type Tokenizer } from '@sconelm/ngram-miner';

export interface ShownSequence {
  readonly split: Split;
  /** Its first token in the split. */
  readonly start: number;
  /** `¶` where a document begins, `[...]` around f-grams: the longest that end farthest to the right, the first perhaps but the end of one. */
  readonly text: string;
  /** Length of the longest f-gram that ends at each token; 1 where none, and `¶` is a token. */
  readonly lengths?: readonly number[];
}

/** Tokens of a sequence. */
const LENGTH = 64;

/** Sequences at even distances over the training tokens. @throws {MinerError | ArtifactError} */
export async function showSequences(
  directory: string,
  { count, fgrams }: { readonly count: number; readonly fgrams?: string },
): Promise<ShownSequence[]> {
  const { tokenizer, train } = await openDataset(directory);
  const set = fgrams === undefined ? undefined : await openFgrams(fgrams);
  const shown: ShownSequence[] = [];
  for (let i = 0; i < count; i++) {
    const start = Math.floor((train.tokenCount / count) * i);
    // Matches reach back over the sequence's start.
    const from = Math.max(0, start - (set?.maxLength ?? 0));
    const read: number[] = [];
    for await (const piece of readTokens(train.corpus, { from, to: Math.min(start + LENGTH, train.tokenCount) })) read.push(...piece);
    const [before, tokens] = [read.slice(0, start - from), read.slice(start - from)];
    const lengths = new Uint8Array(tokens.length).fill(1);
    set?.match(tokens, { lengths, before, boundary: tokenizer.endOfText });
    const text = markedText(tokenizer, tokens, lengths);
    shown.push({ split: 'train', start, text, ...(set === undefined ? {} : { lengths: [...lengths] }) });
  }
  return shown;
}

function markedText(tokenizer: Tokenizer, tokens: readonly number[], lengths: Uint8Array): string {
  const spans: { tokens: number[]; isFgram: boolean }[] = [];
  for (let end = tokens.length; end > 0; ) {
    const length = Math.min(lengths[end - 1], end);
    const span = tokens.slice(end - length, end);
    const next = spans[0];
    // Tokens between f-grams are decoded together: a character may be several of them.
    if (length === 1 && next?.isFgram === false) next.tokens.unshift(...span);
    else spans.unshift({ tokens: span, isFgram: length > 1 });
    end -= length;
  }
  return spans.map(({ tokens: span, isFgram }) => (isFgram ? `[${textOf(tokenizer, span)}]` : textOf(tokenizer, span))).join('');
}

function textOf(tokenizer: Tokenizer, tokens: readonly number[]): string {
  const { endOfText } = tokenizer;
  const start = tokens.indexOf(endOfText);
  if (start >= 0) return `${textOf(tokenizer, tokens.slice(0, start))}\n¶ ${textOf(tokenizer, tokens.slice(start + 1))}`;
  // Behind a token, because some tokenizers drop the blank of the first one.
  return tokenizer.decode([endOfText, ...tokens]).slice(tokenizer.decode([endOfText]).length);
}
