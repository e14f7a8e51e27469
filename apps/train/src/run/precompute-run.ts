/** The rows of a trained run, computed once and published as a store bound to its f-grams and its parameters. */
import type { Progress } from '@sconelm/cli-kit';
import { fingerprint } from '@sconelm/decoder';
import { type Model, precompute } from '@sconelm/fgram-model';
import type { FgramSet } from '@sconelm/ngram-miner';
import { createStore, openStore, type RowDtype, type RowStore, StoreError } from '@sconelm/offload-store';
import type { Device } from '@sconelm/tensor-webgpu';
import { TrainError } from '../errors.js';

export interface PrecomputeRunOptions {
  readonly model: Model;
  readonly set: FgramSet;
  /** Where rows are published. */
  readonly store: string;
  readonly rowDtype: RowDtype;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
}

/** Opens the store of these f-grams and this model, and fills it first where it is not there yet. @throws {TrainError | StoreError} */
export async function precomputeRun(device: Device, options: PrecomputeRunOptions): Promise<RowStore> {
  const { model, set, store: url, rowDtype, progress, signal } = options;
  const { fgram } = model.config;
  if (fgram === undefined) throw new TrainError('TRAIN_OPTION', 'a plain decoder has no rows', 'Give a run that was trained with f-grams.');
  const binding = { fgrams: set.hash, model: await fingerprint(model.variables) };
  const found = await openStore(url, { expect: binding }).catch((error: unknown) => {
    if (error instanceof StoreError && error.code === 'STORE_MISSING') return undefined;
    throw error;
  });
  if (found !== undefined) {
    if (found.dtype === rowDtype) return found;
    await found.close();
    throw new TrainError('TRAIN_OPTION', `${url} has ${found.dtype} rows, not ${rowDtype}`, 'Give another --store, or delete this one.');
  }
  await using writer = await createStore(url, { rows: set.size, width: fgram.width, dtype: rowDtype, binding });
  await precompute(device, set, model.parameters, fgram, writer, {
    ...(signal === undefined ? {} : { signal }),
    onProgress: (done, total) => progress.update('precomputing rows', { done, total, unit: 'rows' }),
  });
  await writer.publish();
  return openStore(url, { expect: binding });
}
