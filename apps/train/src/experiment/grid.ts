/** What an experiment is: runs on a shared corpus, each with the options of `scone-train run`, and what is told of their results. */
import { z } from 'zod';
import { modelFields, trainingSchema } from '../run/training-config.js';

export const runOptionsSchema = z.strictObject({ ...modelFields, ...trainingSchema.shape });

/** The bundled corpus, or every tenth document of its training split; held-out text is the same. */
export type CorpusName = 'whole' | 'tenth';

export interface GridRun {
  /** Its folder's name; runs of the same name are shared by experiments. */
  readonly id: string;
  readonly corpus: CorpusName;
  /** The f-grams it is trained with; of a plain decoder those by which its losses are grouped. */
  readonly fgrams: { readonly maxLength: number; readonly maxFgrams: number };
  readonly options: z.input<typeof runOptionsSchema>;
  /** A run on the same corpus, whose decoder it begins with. */
  readonly from?: GridRun;
}

/** Positions and the sum of their losses in nats. */
const groupSchema = z.strictObject({ count: z.int(), loss: z.number() });
export type Group = z.output<typeof groupSchema>;

/** Losses through one store; `hitRate`: share of positions where an f-gram ends. */
const throughSchema = groupSchema.extend({ bitsPerByte: z.number(), hitRate: z.number() });
const domainsSchema = z.strictObject({ inDomain: throughSchema, outOfDomain: throughSchema });
const costSchema = z.strictObject({ nodesPerToken: z.number(), flopsPerToken: z.number(), stepMs: z.number(), arenaBytes: z.int() });

export const runResultSchema = z.strictObject({
  id: z.string(),
  date: z.string(),
  adapter: z.string(),
  seed: z.int(),
  trainingTokens: z.int(),
  trainingFlops: z.number(),
  /** Forward FLOPs per token of decoding. */
  inferenceFlops: z.number(),
  /** On the accelerator in inference. */
  decoderParameters: z.int(),
  /** Trained in all: decoder, f-gram model, residual rows. */
  trainedParameters: z.int(),
  /** Forest nodes per training token, and tokens that would have been computed for one with every f-gram alone. */
  nodesPerToken: z.number(),
  paddedPerToken: z.number(),
  fgrams: z.int(),
  /** Held-out text of the corpus. */
  inDomain: groupSchema,
  bitsPerByte: z.number(),
  /** Other text, where it was given. */
  outOfDomain: groupSchema.optional(),
  outOfDomainBitsPerByte: z.number().optional(),
  /** Of held-out text, by length of the longest f-gram and by its count in the training text. */
  byLength: z.record(z.string(), groupSchema),
  byCount: z.record(z.string(), groupSchema),
  /** Held-out loss on the way. */
  curve: z.array(z.strictObject({ tokens: z.int(), loss: z.number() })),
  /** Perplexity through stores of other row dtypes. */
  byDtype: z.record(z.string(), z.strictObject({ loss: z.number(), rowBytes: z.int() })).optional(),
  /** Through the run's own rows, and with those that were added for f-grams of other text, a part of which is held out. */
  pack: z.strictObject({ added: z.int(), own: domainsSchema, extended: domainsSchema.optional() }).optional(),
  /** A training step over a forest, over every f-gram alone, and over every f-gram padded to K tokens. */
  forest: z.strictObject({ forest: costSchema, alone: costSchema, padded: costSchema }).optional(),
});
export type RunResult = z.output<typeof runResultSchema>;

export interface Plot {
  readonly name: string;
  readonly title: string;
  readonly x: { readonly label: string; readonly scale?: 'linear' | 'log' };
  readonly y: string;
  readonly series: readonly { readonly label: string; readonly points: readonly (readonly [number, number])[] }[];
}

/** What is told of an experiment: a table, whose first row heads it, and plots. */
export interface Findings {
  readonly table: readonly (readonly string[])[];
  readonly plots: readonly Plot[];
}

export interface Experiment {
  readonly name: string;
  readonly title: string;
  readonly question: string;
  readonly runs: readonly GridRun[];
  /** What is measured of its runs besides their losses. */
  readonly extra?: 'byDtype' | 'pack' | 'forest';
  /** @param result of a run, where there is one already */
  findings(result: (id: string) => RunResult | undefined): Findings;
}
