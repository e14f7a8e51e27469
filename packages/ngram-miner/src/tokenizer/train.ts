/** Training a byte-level BPE tokenizer: the most frequent pair of neighbours becomes a token, again and again. [Sennrich et al., 2016] */
import { MinerError } from '../errors.js';
import { BYTE_TO_CHARACTER } from './byte-level.js';
import { Heap } from './heap.js';
import { PairTable } from './pair-table.js';
import { hashPiece, PieceCache } from './piece-cache.js';
import { scanWords } from './scanner.js';
import { END_OF_TEXT, type TokenizerJson } from './tokenizer-json.js';

export interface TrainTokenizerOptions {
  /** Entries in all: 256 bytes, merges and `<|endoftext|>`. */
  readonly vocabSize: number;
}

const MAX_IDS = 2 ** 21;

/** Equal counts are decided by ids, so the same text gives the same tokenizer. @throws {MinerError} TEXT_EMPTY, MINE_OPTION */
export function trainTokenizer(texts: Iterable<string>, { vocabSize }: TrainTokenizerOptions): TokenizerJson {
  if (!Number.isInteger(vocabSize) || vocabSize < 257 || vocabSize > MAX_IDS) {
    throw new MinerError('MINE_OPTION', `a vocabulary of ${vocabSize} is not possible`, 'Choose 257 (bytes and the end of text) or more.');
  }
  const pairs = new Pairs(countWords(texts));
  const names = [...BYTE_TO_CHARACTER];
  const merges: [string, string][] = [];
  while (names.length < vocabSize - 1) {
    const best = pairs.takeBest();
    if (best === undefined) break;
    pairs.join(best, names.length);
    names.push(names[best.left] + names[best.right]);
    merges.push([names[best.left], names[best.right]]);
  }
  return tokenizerJson(names, merges);
}

/** Distinct pieces of at least two bytes, end to end, and how often each one came. */
interface Words {
  readonly bytes: Uint8Array;
  readonly ends: readonly number[];
  readonly counts: readonly number[];
}

function countWords(texts: Iterable<string>): Words {
  const numbers = new PieceCache({ bounded: false });
  const counts: number[] = [];
  const ends: number[] = [];
  let words = new Uint8Array(2 ** 16);
  let used = 0;
  let isEmpty = true;
  const utf8 = new TextEncoder();
  const number = new Uint32Array(1);
  for (const text of texts) {
    const bytes = utf8.encode(text);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    isEmpty &&= bytes.length === 0;
    for (let at = 0; at < bytes.length; ) {
      const end = scanWords(bytes, at, bytes.length);
      // A word of one byte has no pairs.
      if (end - at > 1) {
        const hash = hashPiece(view, at, end);
        const known = numbers.find(view, at, end, hash);
        if (known > 0) counts[numbers.words[known]]++;
        else {
          number[0] = counts.push(1) - 1;
          numbers.add(view, at, end, hash, number, 0, 1);
          if (used + end - at > words.length) {
            const grown = new Uint8Array(Math.max(words.length * 2, used + end - at));
            grown.set(words);
            words = grown;
          }
          words.set(bytes.subarray(at, end), used);
          used += end - at;
          ends.push(used);
        }
      }
      at = end;
    }
  }
  if (isEmpty) throw new MinerError('TEXT_EMPTY', 'there is no text to train a tokenizer on', 'Give files with text.');
  return { bytes: words.subarray(0, used), ends, counts };
}

interface Pair {
  readonly left: number;
  readonly right: number;
  count: number;
  /** The count by which it lies in the heap; counts of pairs that are in it only fall. */
  heapCount: number;
  /** Words it is, or was, in. */
  readonly words: number[];
}

/** Counts of all pairs of neighbours in the words, and the words as ids, which merges shorten in place. */
class Pairs {
  readonly #ids: Int32Array;
  readonly #starts: Int32Array;
  readonly #lengths: Int32Array;
  readonly #counts: readonly number[];
  readonly #numbers = new PairTable();
  readonly #pairs: Pair[] = [];
  readonly #heap = new Heap<Pair>(
    (a, b) => a.heapCount > b.heapCount || (a.heapCount === b.heapCount && (a.left < b.left || (a.left === b.left && a.right < b.right))),
  );
  /** Pairs that are not in the heap yet. */
  #fresh: Pair[] = [];

  constructor({ bytes, ends, counts }: Words) {
    this.#ids = Int32Array.from(bytes);
    this.#starts = Int32Array.from(ends, (_, word) => (word === 0 ? 0 : ends[word - 1]));
    this.#lengths = Int32Array.from(ends, (end, word) => end - this.#starts[word]);
    this.#counts = counts;
    for (let word = 0; word < ends.length; word++) {
      for (let i = this.#starts[word]; i + 1 < ends[word]; i++) this.#change(word, this.#ids[i], this.#ids[i + 1], counts[word]);
    }
  }

  #change(word: number, left: number, right: number, amount: number): void {
    const number = this.#numbers.get(left, right);
    let pair = this.#pairs[number];
    if (number === -1) {
      pair = { left, right, count: 0, heapCount: 0, words: [] };
      this.#numbers.set(left, right, this.#pairs.push(pair) - 1);
      this.#fresh.push(pair);
    }
    pair.count += amount;
    if (amount > 0 && pair.words.at(-1) !== word) pair.words.push(word);
  }

  /** The most frequent pair, if there is one that comes twice. */
  takeBest(): Pair | undefined {
    for (const pair of this.#fresh) this.#put(pair);
    this.#fresh = [];
    for (let pair = this.#heap.pop(); pair !== undefined; pair = this.#heap.pop()) {
      if (pair.count === pair.heapCount) return pair;
      this.#put(pair);
    }
    return undefined;
  }

  #put(pair: Pair): void {
    if (pair.count < 2) return;
    pair.heapCount = pair.count;
    this.#heap.push(pair);
  }

  /** Replaces a pair by an id of its own, from left to right. */
  join({ left, right, words }: Pair, id: number): void {
    const ids = this.#ids;
    for (const word of words) {
      const count = this.#counts[word];
      const start = this.#starts[word];
      const end = start + this.#lengths[word];
      let to = start;
      for (let i = start; i < end; i++) {
        if (ids[i] !== left || i + 1 === end || ids[i + 1] !== right) {
          ids[to++] = ids[i];
          continue;
        }
        if (to > start) {
          this.#change(word, ids[to - 1], left, -count);
          this.#change(word, ids[to - 1], id, count);
        }
        if (i + 2 < end) {
          this.#change(word, right, ids[i + 2], -count);
          this.#change(word, id, ids[i + 2], count);
        }
        ids[to++] = id;
        i++;
      }
      this.#lengths[word] = to - start;
    }
  }
}

function tokenizerJson(names: readonly string[], merges: readonly [string, string][]): TokenizerJson {
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
      vocab: Object.fromEntries([...names, END_OF_TEXT].map((name, id) => [name, id])),
      merges,
    },
  };
}
