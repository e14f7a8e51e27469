/**
 * Exact counts of n-grams by sorted keys, one length after the other: the key of an n-gram is (rank of its prefix, last token), and only positions
 * whose prefix and suffix survived are counted, because a longer n-gram is never more frequent. (SCONE, Alg. 3)
 */
export interface CountedFgram {
  readonly tokens: readonly number[];
  readonly count: number;
}

export interface CountOptions {
  /** Longest n-gram, K >= 2. */
  readonly maxLength: number;
  readonly minCount: number;
  readonly vocabSize: number;
  /** The token that opens a document: no n-gram reaches over it. */
  readonly boundary: number;
  readonly onProgress?: (length: number) => void;
}

/** Position of `key` in ascending `keys`, −1 where it is not there. */
function find(keys: Float64Array, key: number): number {
  let low = 0;
  let high = keys.length - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    if (keys[middle] < key) low = middle + 1;
    else if (keys[middle] > key) high = middle - 1;
    else return middle;
  }
  return -1;
}

/** All n-grams, n = 2..K, that occur `minCount` times or more, in no particular order. */
export function countFgrams(
  tokens: ArrayLike<number>,
  { maxLength, minCount, vocabSize, boundary, onProgress }: CountOptions,
): CountedFgram[] {
  const found: CountedFgram[] = [];
  // The rank of the surviving n-gram that starts at each position; for n = 1 the token itself.
  let ranks = Int32Array.from(tokens);
  let names: (readonly number[])[] = Array.from({ length: vocabSize }, (_, token) => [token]);
  for (let n = 2; n <= maxLength; n++) {
    onProgress?.(n);
    const keyAt = (i: number): number => {
      const last = i + n - 1;
      if (last >= tokens.length || tokens[last] === boundary || ranks[i] < 0 || ranks[i + 1] < 0) return -1;
      return ranks[i] * vocabSize + tokens[last];
    };
    const all = new Float64Array(tokens.length);
    let size = 0;
    for (let i = 0; i + n <= tokens.length; i++) {
      const key = keyAt(i);
      if (key >= 0) all[size++] = key;
    }
    const sorted = all.subarray(0, size).sort();
    const keys: number[] = [];
    const survivors: (readonly number[])[] = [];
    for (let i = 0; i < size; ) {
      let end = i + 1;
      while (end < size && sorted[end] === sorted[i]) end++;
      if (end - i >= minCount) {
        const name = [...names[Math.floor(sorted[i] / vocabSize)], sorted[i] % vocabSize];
        keys.push(sorted[i]);
        survivors.push(name);
        found.push({ tokens: name, count: end - i });
      }
      i = end;
    }
    const lookUp = Float64Array.from(keys);
    const next = new Int32Array(tokens.length).fill(-1);
    for (let i = 0; i + n <= tokens.length; i++) {
      const key = keyAt(i);
      if (key >= 0) next[i] = find(lookUp, key);
    }
    ranks = next;
    names = survivors;
  }
  return found;
}

/** The total order: count descending, shorter first, token ids ascending. So the set is closed under prefix and suffix. */
export function compareFgrams(a: CountedFgram, b: CountedFgram): number {
  if (a.count !== b.count) return b.count - a.count;
  if (a.tokens.length !== b.tokens.length) return a.tokens.length - b.tokens.length;
  for (let i = 0; i < a.tokens.length; i++) if (a.tokens[i] !== b.tokens[i]) return a.tokens[i] - b.tokens[i];
  return 0;
}
