/** A domain pack: the f-grams of another corpus get rows of the trained f-gram model, with no further training; what that brings there and here. */
import path from 'node:path';
import type { FgramSet } from '@sconelm/ngram-miner';
import type { RowStore } from '@sconelm/offload-store';
import type { Device } from '@sconelm/tensor-webgpu';
import { TrainError } from '../errors.js';
import { precomputeRun } from '../run/precompute-run.js';
import type { RunResult } from './grid.js';
import { type ExperimentOptions, packInputs } from './grid-data.js';
import { type HeldoutLoss, heldoutOf } from './held-out.js';
import type { TrainedRun } from './run-experiment.js';

/** F-grams of the other corpus, of which those that the run does not have are new. */
const PACK_FGRAMS = 100_000;

type Pack = NonNullable<RunResult['pack']>;

/** @throws {TrainError} TRAIN_OPTION without text of another domain */
export async function evaluatePack(device: Device, { run, model, inputs }: TrainedRun, options: ExperimentOptions): Promise<Pack> {
  const { otherText, progress, signal } = options;
  if (otherText === undefined)
    throw new TrainError('TRAIN_OPTION', 'a domain pack is of text of another domain', 'Give --other-text, a file or a folder.');
  const { data, fgrams } = await packInputs(run, otherText, PACK_FGRAMS, options);
  const lossesThrough = async (set: FgramSet, rows: RowStore | undefined) => {
    const through = rows === undefined ? {} : { rows };
    const label = `${run.id}, ${set.size.toLocaleString('en')} f-grams`;
    return {
      inDomain: told(await heldoutOf(device, model, inputs.data, set, through, label, options)),
      outOfDomain: told(await heldoutOf(device, model, data, set, through, `${label}, other text`, options)),
    };
  };
  const own = inputs.fgrams.set;
  if (model.config.fgram === undefined) return { added: 0, own: await lossesThrough(own, undefined) };
  const store = (name: string) => `file:${path.join(options.directory, 'runs', run.id, name)}`;
  await using rows = await precomputeRun(device, { model, set: own, store: store('rows-f32'), rowDtype: 'f32', progress, signal });
  await using extended = await precomputeRun(device, {
    ...{ model, set: fgrams.set, store: store('rows-pack'), rowDtype: 'f32' as const, progress, signal },
    base: { set: own, rows },
  });
  return {
    added: fgrams.set.size - own.size,
    own: await lossesThrough(own, rows),
    extended: await lossesThrough(fgrams.set, extended),
  };
}

function told({ group, bitsPerByte, byLength }: HeldoutLoss) {
  return { ...group, bitsPerByte, hitRate: 1 - (byLength['1']?.count ?? 0) / group.count };
}
