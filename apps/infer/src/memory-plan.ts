/** What serving a run takes, said before anything is loaded: weights and caches on the accelerator, rows in memory and off it. */
import { formatTable } from '@sconelm/cli-kit';
import {
  blockPositions,
  cacheBytes,
  contextBlocks,
  type DecoderConfig,
  decoderShapes,
  largestBinding,
  type WeightFormat,
  weightBytes,
  weightFormats,
} from '@sconelm/decoder';
import { type ModelConfig, modelShapes } from '@sconelm/fgram-model';
import { InferError } from './errors.js';
import { computesRows, type RunOptions } from './run-folder.js';

export interface PlanInputs extends Pick<RunOptions, 'damagedRows' | 'missingRows'> {
  readonly config: ModelConfig;
  readonly weights: WeightFormat;
  /** A sample of the rows is computed again. */
  readonly verifies: boolean;
  readonly slots: number;
  /** What the key-value cache may take; undefined: what all slots take with full contexts. */
  readonly kvMemoryBytes: number | undefined;
  readonly hotRows: number;
  readonly cacheRows: number;
  /** Absent for a plain decoder. */
  readonly store?: { readonly rows: number; readonly rowBytes: number; readonly url: string } | undefined;
  /** Largest buffer of the adapter. */
  readonly maxBufferBytes: number;
  /** What a kernel of it binds at most. */
  readonly maxBindingBytes: number;
}

export interface MemoryPlan {
  readonly weightBytes: number;
  readonly cacheBytes: number;
  /** Positions that the cache has, of all sequences. */
  readonly cachePositions: number;
  readonly cacheBytesPerToken: number;
  readonly hotRowBytes: number;
  readonly coldRowBytes: number;
  /** What cannot be, and what to change. */
  readonly problems: readonly string[];
}

/** Blocks of the key-value cache. @param memoryBytes that it may take; undefined: full contexts in all slots @throws {InferError} SERVE_OPTION */
export function cacheBlocks(decoder: DecoderConfig, slots: number, memoryBytes: number | undefined): number {
  const full = slots * contextBlocks(decoder);
  if (memoryBytes === undefined) return full;
  const ofBlock = cacheBytes(decoder, blockPositions(decoder));
  if (memoryBytes >= ofBlock) return Math.min(full, Math.floor(memoryBytes / ofBlock));
  throw new InferError('SERVE_OPTION', `a key-value cache of ${memoryBytes} bytes holds no block of ${ofBlock}`, 'Give --kv-memory more.');
}

export function planMemory(inputs: PlanInputs): MemoryPlan {
  const { config, weights, slots, kvMemoryBytes, hotRows, cacheRows, store, maxBufferBytes, maxBindingBytes } = inputs;
  const shapes = decoderShapes(config.decoder);
  // Rows are computed anew by the whole model, in f32.
  const ofComputer = config.fgram !== undefined && computesRows(inputs, inputs.verifies) ? weightBytes(modelShapes(config), 'f32') : 0;
  const ofDecoder = weightBytes(shapes, weights);
  const cachePositions = cacheBlocks(config.decoder, slots, kvMemoryBytes) * blockPositions(config.decoder);
  const ofCache = cacheBytes(config.decoder, cachePositions);
  const { rows = 0, rowBytes = 0 } = store ?? {};
  const inMemory = Math.min(rows, hotRows + cacheRows);
  const problems: string[] = [];
  const fitting = weightFormats.filter(
    (format) => weightBytes(shapes, format) <= maxBufferBytes && largestBinding(shapes, format).bytes <= maxBindingBytes,
  );
  const remedy = fitting.length > 0 ? `use --weights ${fitting.join(' or ')}` : 'use a smaller model';
  if (ofDecoder > maxBufferBytes)
    problems.push(`weights of ${ofDecoder} bytes are more than a buffer of this adapter holds (${maxBufferBytes}): ${remedy}`);
  const bound = largestBinding(shapes, weights);
  if (bound.bytes > maxBindingBytes)
    problems.push(
      `${bound.name} in ${weights} takes ${bound.bytes} bytes, and is bound as a whole, of which this adapter binds ${maxBindingBytes}: ${remedy}`,
    );
  if (ofComputer > maxBufferBytes)
    problems.push(
      `the model that computes rows takes ${ofComputer} bytes, which is more than a buffer of this adapter holds (${maxBufferBytes}): leave out --damaged-rows recompute, --missing-rows recompute and --verify-rows`,
    );
  if (ofCache > maxBufferBytes)
    problems.push(
      `a key-value cache of ${ofCache} bytes is more than a buffer of this adapter holds (${maxBufferBytes}): set --kv-memory, or take fewer slots`,
    );
  return {
    weightBytes: ofDecoder + ofComputer,
    cacheBytes: ofCache,
    cachePositions,
    cacheBytesPerToken: cacheBytes(config.decoder, 1),
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
    [`key-value cache of ${plan.cachePositions.toLocaleString('en')} tokens for ${slots} slots`, megabytes(plan.cacheBytes)],
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
