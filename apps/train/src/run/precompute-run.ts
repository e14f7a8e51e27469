/** The rows of a trained run, computed once and published as a store bound to its f-grams and its parameters. */
import type { Progress } from '@sconelm/cli-kit';
import { fingerprint } from '@sconelm/decoder';
import { type Model, type ModelConfig, precompute } from '@sconelm/fgram-model';
import type { FgramSet } from '@sconelm/ngram-miner';
import { createStore, openStore, type RowDtype, type RowStore, type RowWriter, StoreError } from '@sconelm/offload-store';
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
  const { set, store: url, rowDtype, base } = options;
  const fgram = expectFits(options);
  if (base !== undefined) expectExtension(base.set, set);
  const binding = await bindingOf(options);
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
  if (base !== undefined) await takeOver(base, writer, options);
  await computeMissing(device, options, writer, { from: 0, to: set.size });
  await writer.publish();
  return openStore(url, { expect: binding });
}

/**
 * Computes a part of the rows and publishes nothing; other processes may compute the others. `precomputeRun` then finds them there.
 * @param part `index` of `parts`, from 1 on @returns how many rows it has @throws {TrainError | StoreError}
 */
export async function precomputePart(
  device: Device,
  options: Omit<PrecomputeRunOptions, 'base'>,
  { index, parts }: { readonly index: number; readonly parts: number },
): Promise<number> {
  const { set, store: url, rowDtype } = options;
  const { width } = expectFits(options);
  const cut = (i: number) => Math.floor((set.size * i) / parts);
  const range = { from: cut(index - 1), to: cut(index) };
  if (range.from === range.to) throw new TrainError('TRAIN_OPTION', `part ${index} of ${parts} has no rows`, 'Make fewer parts.');
  await using writer = await createStore(url, { rows: set.size, width, dtype: rowDtype, binding: await bindingOf(options) }, { range });
  await computeMissing(device, options, writer, range);
  return range.to - range.from;
}

type Given = Omit<PrecomputeRunOptions, 'base'>;

/** @throws {TrainError} TRAIN_OPTION: the f-grams are not for this model */
function expectFits({ model, set }: Given): NonNullable<ModelConfig['fgram']> {
  const { fgram } = model.config;
  if (fgram === undefined) throw new TrainError('TRAIN_OPTION', 'a plain decoder has no rows', 'Give a run that was trained with f-grams.');
  if (set.maxLength <= fgram.maxLength) return fgram;
  const what = `the f-grams are up to ${set.maxLength} tokens long, the model was trained with ${fgram.maxLength}`;
  throw new TrainError('TRAIN_OPTION', what, `Mine with --max-length ${fgram.maxLength}.`);
}

async function bindingOf({ model, set }: Given) {
  return { fgrams: set.hash, model: await fingerprint(model.variables) };
}

/** Rows that are there already are copied. */
async function takeOver({ set, rows: from }: NonNullable<PrecomputeRunOptions['base']>, writer: RowWriter, { progress, signal }: Given) {
  for (let first = 0; first < set.size; first += CHUNK) {
    signal?.throwIfAborted();
    const ids = Uint32Array.from({ length: Math.min(CHUNK, set.size - first) }, (_, i) => first + i).filter((id) => !writer.has(id));
    const rows = new Float32Array(ids.length * from.width);
    await from.read(ids, rows);
    if (ids.length > 0) await writer.write(ids, rows);
    progress.update('taking rows over', { done: first + ids.length, total: set.size, unit: 'rows' });
  }
}

function computeMissing(
  device: Device,
  options: Given,
  writer: RowWriter,
  range: { readonly from: number; readonly to: number },
): Promise<void> {
  const { model, set, progress, signal } = options;
  return precompute(device, set, model, expectFits(options), writer, {
    range,
    ...(signal === undefined ? {} : { signal }),
    onProgress: (done, total) => progress.update('precomputing rows', { done, total, unit: 'rows' }),
  });
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
