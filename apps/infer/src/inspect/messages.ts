/** What the inspector's routes answer. The page reads these types too, so nothing here knows Node. */
import type { EngineStatus } from '../engine/engine.js';

export interface InspectedFgram {
  /** Tokens. */
  readonly length: number;
  readonly text: string;
  /** 1 is the most frequent. */
  readonly rank: number;
  /** Occurrences in the corpus. */
  readonly count: number;
  /** Where its row came from: memory, cache, store, or lost. Absent where it has not been looked up. */
  readonly tier?: string;
  /** Of the step's look-up, in which the rows of all sequences came. */
  readonly lookUpMs?: number;
}

export interface InspectedToken {
  readonly text: string;
  readonly fgram?: InspectedFgram;
  /** Nats. */
  readonly loss?: number;
  /** Nats, where nothing is looked up. */
  readonly lossWithout?: number;
  /** Descending. */
  readonly alternatives?: readonly { readonly text: string; readonly probability: number }[];
}

/** A line of what /inspect/generate streams. */
export type GenerateMessage =
  | { readonly kind: 'prompt'; readonly tokens: readonly InspectedToken[] }
  | { readonly kind: 'token'; readonly token: InspectedToken }
  /** Of the token generated last. */
  | { readonly kind: 'look-up'; readonly tier: string; readonly lookUpMs: number }
  | { readonly kind: 'end'; readonly reason: string }
  | { readonly kind: 'error'; readonly message: string };

/** What an f-gram did to the losses of the tokens that followed it. */
export interface FgramEffect {
  readonly fgram: InspectedFgram;
  /** Places where it stood in. */
  readonly uses: number;
  /** Nats that the following tokens lost less, over all places; negative where they lost more. */
  readonly gain: number;
}

export interface TextReport {
  /** The first has no loss: nothing stands before it. */
  readonly tokens: readonly InspectedToken[];
  readonly bytes: number;
  readonly bitsPerByte: number;
  /** Absent for a plain decoder. */
  readonly bitsPerByteWithout?: number;
  /** Share of tokens at which an f-gram ends. */
  readonly hitRate: number;
  /** Share of tokens inside of one. */
  readonly coverage: number;
  /** Tokens that one window holds: no match and no attention reaches further. */
  readonly window: number;
  readonly helped: readonly FgramEffect[];
  readonly hurt: readonly FgramEffect[];
}

export interface Status {
  readonly model: {
    readonly id: string;
    readonly fingerprint: string;
    readonly contextLength: number;
    readonly vocabSize: number;
    readonly fgrams?: { readonly size: number; readonly maxLength: number };
  };
  readonly queue: EngineStatus;
  readonly store?: {
    /** The kind of medium. */
    readonly scheme: string;
    readonly rows: number;
    readonly width: number;
    readonly dtype: string;
    readonly rowBytes: number;
    /** Its rows have no checksums yet. */
    readonly isFilling: boolean;
    readonly metrics: StoreNumbers;
    /** Rows that were computed again while serving, and those of them that were others; absent where none are. */
    readonly sample?: { readonly checked: number; readonly mismatches: number };
  };
}

/** Sums since the store was opened. */
export interface StoreNumbers {
  readonly reads: number;
  readonly rows: number;
  readonly hotHits: number;
  readonly hotRows: number;
  readonly distinctRows: number;
  readonly cacheHits: number;
  readonly bytes: number;
  readonly failed: number;
  readonly fallbacks: number;
  readonly recomputed: number;
  readonly verifiedRows: number;
  readonly seconds: number;
  /** Calls by duration: `counts[i]` took less than 2^i microseconds. */
  readonly latency: { readonly counts: readonly number[] };
  readonly backend: Readonly<Record<string, number>>;
}

export interface RunList {
  readonly runs: readonly { readonly name: string; readonly served: boolean; readonly step: number; readonly hasFgrams: boolean }[];
}

/** A line of a run's metrics, as far as it is drawn. */
export interface RunPoint {
  readonly step: number;
  readonly tokens: number;
  readonly loss: number;
  readonly rate?: number | undefined;
  readonly gradientNorm?: number | undefined;
  readonly heldoutLoss?: number | undefined;
  readonly seconds?: number | undefined;
}

export interface RunReport {
  readonly name: string;
  /** By step. */
  readonly points: readonly RunPoint[];
  readonly samples: readonly { readonly step: number; readonly text: string }[];
  readonly evaluation?: RunEvaluation;
}

/** Of held-out text. */
export interface RunEvaluation {
  readonly loss: number;
  readonly perplexity: number;
  readonly bitsPerByte: number;
  readonly tokens: number;
  /** By the longest f-gram's length, 1 where none ends. */
  readonly byLength: Readonly<Record<string, { readonly count: number; readonly loss: number }>>;
}

export interface FgramSummary {
  readonly size: number;
  readonly maxLength: number;
  /** The count below which none was kept. */
  readonly minCount: number;
  /** Of the last rank. */
  readonly lastCount: number;
  readonly hash: string;
  /** F-grams by length. */
  readonly byLength: Readonly<Record<string, number>>;
  readonly countByRank: readonly { readonly rank: number; readonly count: number }[];
  /** Held-out positions by the longest f-gram's length, 1 where none ends; absent where the run was not evaluated. */
  readonly heldout?: Readonly<Record<string, number>>;
}

export interface FgramPage {
  readonly fgrams: readonly InspectedFgram[];
  /** The f-grams that are this text and nothing else. */
  readonly exact: readonly InspectedFgram[];
  /** Ranks up to here were looked at. */
  readonly lastRank: number;
  /** Whether that is all of them. */
  readonly isWhole: boolean;
}
