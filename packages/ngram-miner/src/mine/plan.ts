/**
 * What is mined when: the n-grams in lexicographic order, cut into steps whose keys fit into memory. A step has the n-grams of a prefix, mostly the empty
 * one, whose next symbols lie in a range. A token with more keys than memory holds becomes a prefix of its own, which a further count of what follows it
 * cuts up: so no corpus, not even one of a single token, needs more memory than there is.
 */
import { MinerError } from '../errors.js';

/** An n-gram that was counted while planning. */
export interface Heading {
  readonly length: number;
  readonly token: number;
  readonly count: number;
}

export interface Step {
  /** They come before the n-grams of the step. */
  readonly headings: readonly Heading[];
  /** Tokens. With K − 1 of them, their histogram says all. */
  readonly prefix: readonly number[];
  /** Symbols low..high. */
  readonly low: number;
  readonly high: number;
  readonly keys: number;
}

/** Tokens that occur often enough, by ascending id: the symbols. */
export interface Alphabet {
  readonly tokens: Uint32Array;
  /** Bits of a symbol; all ones end a key. */
  readonly bits: number;
  readonly keyBytes: 8 | 16;
}

/** @param totals f64 by token @throws {MinerError} MINE_VOCABULARY */
export function alphabetOf(
  totals: Float64Array,
  { maxLength, minCount }: { readonly maxLength: number; readonly minCount: number },
): Alphabet {
  const tokens = new Uint32Array(totals.reduce((sum, count) => sum + Number(count >= minCount), 0));
  let size = 0;
  for (let token = 0; token < totals.length; token++) if (totals[token] >= minCount) tokens[size++] = token;
  const bits = Math.max(1, Math.ceil(Math.log2(size + 1)));
  const keyBits = bits * (maxLength - 1);
  if (keyBits > 128) {
    throw new MinerError(
      'MINE_OPTION',
      `${size} tokens occur ${minCount} times or more; ${maxLength - 1} of them need ${keyBits} bits, and a key has 128`,
      `Choose a longest f-gram of ${Math.floor(128 / bits) + 1} tokens, or a larger minimum.`,
    );
  }
  return { tokens, bits, keyBytes: keyBits <= 64 ? 8 : 16 };
}

/** Keys that memory has room for. */
export interface Capacity {
  /** Those of a step. */
  readonly keys: number;
  /** Those that each thread has scratch space for. */
  readonly scratch: number;
}

/** More scratch space than the caches hold makes sorting no faster. */
const SCRATCH_KEYS = 2 ** 20;

/** @param workKeys keys that memory holds, scratch space included */
export function capacityFor(workKeys: number, workers: number): Capacity {
  const scratch = Math.min(SCRATCH_KEYS, Math.floor(workKeys / 8 / workers));
  return { keys: workKeys - workers * scratch, scratch };
}

/** The symbols of part `part` (1..parts): parts have about as many keys each, and do not depend on the machine. */
export function symbolsOfPart(
  counts: readonly number[],
  { part, parts }: { readonly part: number; readonly parts: number },
): [low: number, high: number] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const cut = (share: number) => {
    if (share === parts) return counts.length;
    let before = 0;
    return counts.findIndex((count) => {
      before += count;
      return before > (total / parts) * share;
    });
  };
  return total === 0 ? [0, part === 1 ? counts.length : 0] : [part === 1 ? 0 : cut(part - 1), cut(part)];
}

export interface PlanStepsOptions {
  readonly maxLength: number;
  readonly minCount: number;
  readonly alphabet: Alphabet;
  /** Keys of a step. */
  readonly capacity: number;
  readonly low: number;
  readonly high: number;
  /** Counts by token of what follows a prefix. */
  readonly countsAfter: (prefix: readonly number[]) => Promise<Float64Array>;
}

export async function planSteps({ maxLength, minCount, alphabet, capacity, low, high, countsAfter }: PlanStepsOptions): Promise<Step[]> {
  const steps: Step[] = [];
  let headings: Heading[] = [];
  const push = (step: Omit<Step, 'headings'>) => {
    steps.push({ headings, ...step });
    headings = [];
  };
  async function cutUp(prefix: readonly number[], from: number, to: number): Promise<void> {
    if (prefix.length === maxLength - 1) return push({ prefix, low: 0, high: 0, keys: 0 });
    const counts = (await countsAfter(prefix)).slice();
    let start = from;
    let keys = 0;
    const close = (end: number) => {
      if (keys > 0 || headings.length > 0) push({ prefix, low: start, high: end, keys });
      start = end;
      keys = 0;
    };
    for (let symbol = from; symbol < to; symbol++) {
      const token = alphabet.tokens[symbol];
      const count = counts[token];
      if (count > capacity) {
        close(symbol);
        if (count >= minCount) {
          headings.push({ length: prefix.length + 1, token, count });
          await cutUp([...prefix, token], 0, alphabet.tokens.length);
        }
        start = symbol + 1;
      } else {
        if (keys + count > capacity) close(symbol);
        keys += count;
      }
    }
    close(to);
  }
  await cutUp([], low, high);
  return steps;
}
