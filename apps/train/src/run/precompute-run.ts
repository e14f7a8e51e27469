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
  /** Rows of this model that are there already: of a set that this one extends, with the same ids. */
  readonly base?: { readonly set: FgramSet; readonly rows: RowStore };
  readonly progress: Progress;
  readonly signal?: AbortSignal;
}

/** Rows that are taken over at a time. */
const CHUNK = 65_536;

/** Opens the store of these f-grams and this model, and fills it first where it is not there yet. @throws {TrainError | StoreError} */
export async function precomputeRun(device: Device, options: PrecomputeRunOptions): Promise<RowStore> {
  const { model, set, store: url, rowDtype, base, progress, signal } = options;
  const { fgram } = model.config;
  if (fgram === undefined) throw new TrainError('TRAIN_OPTION', 'a plain decoder has no rows', 'Give a run that was trained with f-grams.');
  if (set.maxLength > fgram.maxLength) {
    const what = `the f-grams are up to ${set.maxLength} tokens long, the model was trained with ${fgram.maxLength}`;
    throw new TrainError('TRAIN_OPTION', what, `Mine with --max-length ${fgram.maxLength}.`);
  }
  if (base !== undefined) expectExtension(base.set, set);
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
  if (base !== undefined) {
    for (let from = 0; from < base.set.size; from += CHUNK) {
      signal?.throwIfAborted();
      const ids = Uint32Array.from({ length: Math.min(CHUNK, base.set.size - from) }, (_, i) => from + i).filter((id) => !writer.has(id));
      const rows = new Float32Array(ids.length * fgram.width);
      await base.rows.read(ids, rows);
      if (ids.length > 0) await writer.write(ids, rows);
      progress.update('taking rows over', { done: from + ids.length, total: base.set.size, unit: 'rows' });
    }
  }
  await precompute(device, set, model.parameters, fgram, writer, {
    ...(signal === undefined ? {} : { signal }),
    onProgress: (done, total) => progress.update('precomputing rows', { done, total, unit: 'rows' }),
  });
  await writer.publish();
  return openStore(url, { expect: binding });
}

/** @throws {TrainError} TRAIN_DATA unless the set has all f-grams of the other under the same ids */
function expectExtension(base: FgramSet, set: FgramSet): void {
  for (let id = 0; id < base.size; id++) {
    if (id < set.size && base.tokensOf(id).join() === set.tokensOf(id).join()) continue;
    throw new TrainError(
      'TRAIN_DATA',
      `f-gram ${id} is another one in the larger set`,
      'Mine it with --extend and the f-grams of the run.',
    );
  }
}
