/** What serving a run takes, said before anything is loaded: weights and caches on the accelerator, rows in memory and off it. */
import { formatTable } from '@sconelm/cli-kit';
import { cacheBytes, decoderShapes, type WeightFormat, weightBytes } from '@sconelm/decoder';
import { type ModelConfig, modelShapes } from '@sconelm/fgram-model';

export interface PlanInputs {
  readonly config: ModelConfig;
  readonly weights: WeightFormat;
  readonly damagedRows: string;
  readonly slots: number;
  readonly hotRows: number;
  readonly cacheRows: number;
  /** Absent for a plain decoder. */
  readonly store?: { readonly rows: number; readonly rowBytes: number; readonly url: string } | undefined;
  /** Largest buffer of the adapter. */
  readonly maxBufferBytes: number;
}

export interface MemoryPlan {
  readonly weightBytes: number;
  /** Of all slots, their contexts full. */
  readonly cacheBytes: number;
  readonly cacheBytesPerToken: number;
  readonly hotRowBytes: number;
  readonly coldRowBytes: number;
  /** What cannot be, and what to change. */
  readonly problems: readonly string[];
}

export function planMemory({ config, weights, damagedRows, slots, hotRows, cacheRows, store, maxBufferBytes }: PlanInputs): MemoryPlan {
  const { contextLength, layers } = config.decoder;
  // Rows are computed anew by the whole model, in f32.
  const ofComputer = damagedRows === 'recompute' && config.fgram !== undefined ? weightBytes(modelShapes(config), 'f32') : 0;
  const ofDecoder = weightBytes(decoderShapes(config.decoder), weights);
  const ofWeights = ofDecoder + ofComputer;
  const ofSequence = cacheBytes(config.decoder);
  const { rows = 0, rowBytes = 0 } = store ?? {};
  const inMemory = Math.min(rows, hotRows + cacheRows);
  const problems: string[] = [];
  const largest = Math.max(ofDecoder, ofComputer);
  if (largest > maxBufferBytes)
    problems.push(
      `weights of ${largest} bytes are more than a buffer of this adapter holds (${maxBufferBytes}): use --weights int8 or int4, or a smaller model`,
    );
  if (ofSequence / layers > maxBufferBytes)
    problems.push(
      `a layer's cache of ${ofSequence / layers} bytes is more than a buffer of this adapter holds (${maxBufferBytes}): use a model of shorter context`,
    );
  return {
    weightBytes: ofWeights,
    cacheBytes: slots * ofSequence,
    cacheBytesPerToken: ofSequence / contextLength,
    hotRowBytes: inMemory * rowBytes,
    coldRowBytes: (rows - inMemory) * rowBytes,
    problems,
  };
}

export function formatPlan(plan: MemoryPlan, { config, slots, hotRows, cacheRows, store }: PlanInputs): string {
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
  const { contextLength } = config.decoder;
  const rows = [
    ['weights, on the accelerator', megabytes(plan.weightBytes)],
    [`key-value caches, ${slots} slots of ${contextLength} tokens`, megabytes(plan.cacheBytes)],
    ...[0.25, 0.5, 1].map((share) => {
      const tokens = Math.ceil(contextLength * share);
      return [`  one sequence of ${tokens} tokens uses`, megabytes(plan.cacheBytesPerToken * tokens)];
    }),
    ...(store === undefined
      ? []
      : [
          [`rows in memory (${Math.min(store.rows, hotRows + cacheRows).toLocaleString('en')})`, megabytes(plan.hotRowBytes)],
          [`rows left in ${store.url}`, megabytes(plan.coldRowBytes)],
        ]),
  ];
  return `${formatTable(rows)}${plan.problems.map((problem) => `does not fit: ${problem}\n`).join('')}`;
}
