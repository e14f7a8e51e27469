/** A model's losses on the held-out part of a dataset, as experiments tell them. */
import { evaluate, type Model, type PositionLoss, type RowSource } from '@sconelm/fgram-model';
import type { Dataset, FgramSet } from '@sconelm/ngram-miner';
import type { Device } from '@sconelm/tensor-webgpu';
import type { Group } from './grid.js';
import type { ExperimentOptions } from './grid-data.js';

export interface HeldoutLoss {
  readonly group: Group;
  readonly bitsPerByte: number;
  /** By length of the longest f-gram; 1 for none. */
  readonly byLength: Record<string, Group>;
}

/** Of a held-out text, from its start. */
const MAX_TOKENS = 200_000;

export async function heldoutOf(
  device: Device,
  model: Model,
  { heldout, tokenizer }: Dataset,
  set: FgramSet,
  through: { readonly rows?: RowSource | 'model'; readonly visit?: (found: PositionLoss) => void },
  label: string,
  { progress, signal }: Pick<ExperimentOptions, 'progress' | 'signal'>,
): Promise<HeldoutLoss> {
  const all = await heldout.load();
  const found = await evaluate(device, model, all.subarray(0, MAX_TOKENS), {
    ...through,
    matcher: set.matcher(tokenizer.endOfText),
    signal,
    onProgress: (done, total) => progress.update(`evaluating ${label}`, { done, total, unit: 'tokens' }),
  });
  return {
    group: { count: found.tokens, loss: found.loss * found.tokens },
    bitsPerByte: (found.loss / Math.LN2 / heldout.bytes) * all.length,
    byLength: Object.fromEntries(Object.entries(found.byLength)),
  };
}
