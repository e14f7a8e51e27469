/** Training a byte-level BPE tokenizer: the most frequent pair of neighbours becomes a token, again and again. [Sennrich et al., 2016] */
import { MinerError } from '../errors.js';
import { BYTE_TO_CHARACTER, PIECES } from './byte-level.js';
import { END_OF_TEXT, type TokenizerJson } from './tokenizer.js';

export interface TrainTokenizerOptions {
  /** Entries in all: 256 bytes, merges and `<|endoftext|>`. */
  readonly vocabSize: number;
}

interface Word {
  readonly ids: number[];
  readonly count: number;
}

const MAX_IDS = 2 ** 21;

/** Equal counts are decided by ids, so the same text gives the same tokenizer. @throws {MinerError} TEXT_EMPTY, MINE_OPTION */
export function trainTokenizer(texts: Iterable<string>, { vocabSize }: TrainTokenizerOptions): TokenizerJson {
  if (!Number.isInteger(vocabSize) || vocabSize < 257 || vocabSize > MAX_IDS) {
    throw new MinerError('MINE_OPTION', `a vocabulary of ${vocabSize} is not possible`, 'Choose 257 (bytes and the end of text) or more.');
  }
  const counts = new Map<string, number>();
  for (const text of texts) for (const [piece] of text.matchAll(PIECES)) counts.set(piece, (counts.get(piece) ?? 0) + 1);
  if (counts.size === 0) throw new MinerError('TEXT_EMPTY', 'there is no text to train a tokenizer on', 'Give files with text.');
  const utf8 = new TextEncoder();
  const words: Word[] = [...counts].map(([piece, count]) => ({ ids: [...utf8.encode(piece)], count }));

  const pairCounts = new Map<number, number>();
  const places = new Map<number, Set<number>>();
  const change = (word: number, left: number, right: number, amount: number): void => {
    const pair = left * MAX_IDS + right;
    pairCounts.set(pair, (pairCounts.get(pair) ?? 0) + amount);
    if (amount < 0) return;
    const set = places.get(pair);
    if (set === undefined) places.set(pair, new Set([word]));
    else set.add(word);
  };
  const tally = (word: number, sign: 1 | -1): void => {
    const { ids, count } = words[word];
    for (let i = 0; i + 1 < ids.length; i++) change(word, ids[i], ids[i + 1], sign * count);
  };
  for (let word = 0; word < words.length; word++) tally(word, 1);

  const names = [...BYTE_TO_CHARACTER];
  const merges: [string, string][] = [];
  while (names.length < vocabSize - 1) {
    let best = -1;
    let most = 0;
    for (const [pair, count] of pairCounts) {
      if (count > most || (count === most && count > 0 && pair < best)) {
        best = pair;
        most = count;
      }
    }
    if (most < 2) break;
    const left = Math.floor(best / MAX_IDS);
    const right = best % MAX_IDS;
    const id = names.length;
    names.push(names[left] + names[right]);
    merges.push([names[left], names[right]]);
    for (const word of places.get(best) ?? []) {
      const { ids } = words[word];
      tally(word, -1);
      for (let i = 0; i + 1 < ids.length; i++) if (ids[i] === left && ids[i + 1] === right) ids.splice(i, 2, id);
      tally(word, 1);
    }
    pairCounts.delete(best);
    places.delete(best);
  }
  const vocab = Object.fromEntries([...names, END_OF_TEXT].map((name, id) => [name, id]));
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [
      { id: names.length, content: END_OF_TEXT, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
    ],
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges,
    },
  } as TokenizerJson;
}
