/** What people want to know of an f-gram set: how it is made up, what stands in it, and how it fits held-out text. Plain data. */
import { z } from 'zod';
import type { FgramSet } from '../fgrams/index.js';
import { classOf, FGRAM_CLASSES } from './classes.js';
import { HeldoutCounter, heldoutStatisticsSchema } from './heldout.js';

export const fgramStatisticsSchema = z.strictObject({
  /** Of the set. */
  hash: z.string(),
  size: z.int(),
  maxLength: z.int(),
  /** The cut-off: the least count of an f-gram that was kept; 0 in an empty set. */
  cutOffCount: z.number(),
  /** Sum of all counts. */
  occurrences: z.number(),
  /** Lengths 2..K. */
  byLength: z.array(z.strictObject({ length: z.int(), fgrams: z.int(), occurrences: z.number() })),
  /** Points of the falling curve, ten to a decade, the first and the last among them. */
  countByRank: z.array(z.strictObject({ id: z.int(), count: z.number() })),
  classes: z.strictObject({
    /** How many f-grams were looked at, the most frequent ones. */
    classified: z.int(),
    byClass: z.array(
      z.strictObject({
        name: z.enum(FGRAM_CLASSES),
        fgrams: z.int(),
        occurrences: z.number(),
        /** The most frequent, in order of rank. */
        top: z.array(z.strictObject({ id: z.int(), length: z.int(), count: z.number(), text: z.string() })),
      }),
    ),
  }),
  /** Absent where there was no held-out text. */
  heldout: heldoutStatisticsSchema.optional(),
});
export type FgramStatistics = z.infer<typeof fgramStatisticsSchema>;

export interface StatisticsOptions {
  readonly tokenizer: { decode(ids: ArrayLike<number>): string };
  /** Held-out tokens in chunks, as they come. */
  readonly heldout?: Iterable<ArrayLike<number>> | AsyncIterable<ArrayLike<number>>;
  /** F-grams shown of each class. */
  readonly top?: number;
  readonly signal?: AbortSignal;
  /** @param tokens held-out tokens matched so far */
  readonly onProgress?: (tokens: number) => void;
}

/** More would tell little and take long: decoding costs a microsecond each. */
const CLASSIFIED = 1_000_000;

/** Reads the set once and the held-out tokens once. @throws the signal's reason when aborted */
export async function fgramStatistics(set: FgramSet, options: StatisticsOptions): Promise<FgramStatistics> {
  const { heldout = [], signal, onProgress } = options;
  const counter = new HeldoutCounter(set);
  let tokens = 0;
  for await (const chunk of heldout) {
    signal?.throwIfAborted();
    counter.add(chunk);
    tokens += chunk.length;
    onProgress?.(tokens);
    await new Promise(setImmediate);
  }
  const { byLength, cutOffCount } = lengthsOf(set);
  return {
    hash: set.hash,
    size: set.size,
    maxLength: set.maxLength,
    cutOffCount,
    occurrences: byLength.reduce((sum, { occurrences }) => sum + occurrences, 0),
    byLength,
    countByRank: ranksTo(set.size).map((id) => ({ id, count: set.countOf(id) })),
    classes: classesOf(set, options),
    ...(tokens === 0 ? {} : { heldout: counter.result() }),
  };
}

function lengthsOf(set: FgramSet): Pick<FgramStatistics, 'byLength' | 'cutOffCount'> {
  // Not the last one's: in an extended set the new f-grams follow the old ones, whatever their counts.
  let cutOffCount = set.size === 0 ? 0 : Number.POSITIVE_INFINITY;
  const rows = Array.from({ length: set.maxLength - 1 }, (_, i) => ({ length: i + 2, fgrams: 0, occurrences: 0 }));
  for (let id = 0; id < set.size; id++) {
    const row = rows[set.lengthOf(id) - 2];
    const count = set.countOf(id);
    row.fgrams++;
    row.occurrences += count;
    cutOffCount = Math.min(cutOffCount, count);
  }
  return { byLength: rows, cutOffCount };
}

function ranksTo(size: number): number[] {
  if (size === 0) return [];
  const ids = Array.from({ length: Math.ceil(Math.log10(size) * 10) }, (_, i) => Math.round(10 ** (i / 10)) - 1);
  return [...new Set([...ids, size - 1])];
}

function classesOf(set: FgramSet, { tokenizer, top = 20 }: StatisticsOptions): FgramStatistics['classes'] {
  type Row = FgramStatistics['classes']['byClass'][number];
  const rows = new Map(FGRAM_CLASSES.map((name): [string, Row] => [name, { name, fgrams: 0, occurrences: 0, top: [] }]));
  const classified = Math.min(set.size, CLASSIFIED);
  // Behind a token, because some tokenizers drop the blank of the first one.
  const opening = tokenizer.decode([set.boundary]);
  const textOf = (tokens: Uint32Array) => tokenizer.decode([set.boundary, ...tokens]).slice(opening.length);
  for (let id = 0; id < classified; id++) {
    const tokens = set.tokensOf(id);
    const text = textOf(tokens);
    // The name of the boundary is no part of a document's text.
    const kind = classOf(tokens[0] === set.boundary ? textOf(tokens.subarray(1)) : text);
    const count = set.countOf(id);
    const row = rows.get(kind)!;
    row.fgrams++;
    row.occurrences += count;
    if (row.top.length < top) row.top.push({ id, length: tokens.length, count, text });
  }
  return { classified, byClass: [...rows.values()] };
}
