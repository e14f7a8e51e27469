/** The rows of a run stored in every dtype: what smaller ones cost in loss, and save in bytes. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { copyStore, openStore, rowDtypes } from '@sconelm/offload-store';
import type { Device } from '@sconelm/tensor-webgpu';
import { precomputeRun } from '../run/precompute-run.js';
import type { RunResult } from './grid.js';
import type { ExperimentOptions } from './grid-data.js';
import { heldoutOf } from './held-out.js';
import type { TrainedRun } from './run-experiment.js';

export async function evaluateDtypes(
  device: Device,
  { run, model, inputs }: TrainedRun,
  options: ExperimentOptions,
): Promise<NonNullable<RunResult['byDtype']>> {
  const { progress, signal } = options;
  const { set } = inputs.fgrams;
  const url = (dtype: string) => `file:${path.join(options.directory, 'runs', run.id, `rows-${dtype}`)}`;
  const exact = await precomputeRun(device, { model, set, store: url('f32'), rowDtype: 'f32', progress, signal });
  await exact.close();
  const found: Record<string, { loss: number; rowBytes: number }> = {};
  for (const dtype of rowDtypes) {
    if (dtype !== 'f32' && !existsSync(new URL(`${url(dtype)}/manifest.json`))) await copyStore(url('f32'), url(dtype), { dtype, signal });
    await using rows = await openStore(url(dtype));
    const { group } = await heldoutOf(device, model, inputs.data, set, { rows }, `${run.id}, ${dtype} rows`, options);
    found[dtype] = { loss: group.loss / group.count, rowBytes: rows.rowBytes };
  }
  return found;
}
