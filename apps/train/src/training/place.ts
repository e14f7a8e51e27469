/** What the bits of a step depend on besides the run: the adapter, the forms of kernels that were measured to be the fastest on it, and the micro-batch. */
import type { Device } from '@sconelm/tensor-webgpu';
import { z } from 'zod';
import { TrainError } from '../errors.js';

export const placeSchema = z.strictObject({
  adapter: z.string(),
  /** Whether measured forms are used at all (SCONE_TUNE). */
  tuning: z.enum(['on', 'off']),
  /** By class of sizes. */
  forms: z.record(z.string(), z.string()),
  /** Windows at a time, as given or settled. */
  microBatch: z.int().positive(),
});
export type Place = z.output<typeof placeSchema>;

export function placeOf({ info, tuning }: Device, microBatch: number): Place {
  return { adapter: info.description, tuning: tuning.mode === 'off' ? 'off' : 'on', forms: tuning.used, microBatch };
}

/**
 * Goes on with the forms of a checkpoint, so that its run keeps its bits.
 * @returns what is different here, as text, which makes other bits @throws {TrainError} RUN_DIFFERS unless that is allowed
 */
export function goOnAs(
  device: Device,
  { adapter, tuning, forms, microBatch }: Place,
  { allowChange }: { readonly allowChange: boolean },
): string[] {
  const here = placeOf(device, microBatch);
  const changes = [
    ...(here.adapter === adapter ? [] : [`adapter ${adapter}, not ${here.adapter}`]),
    ...(here.tuning === tuning ? [] : [`SCONE_TUNE ${tuning}, not ${here.tuning}`]),
  ];
  if (changes.length === 0) device.tuning.pin(forms);
  else if (!allowChange)
    throw new TrainError(
      'RUN_DIFFERS',
      `the last checkpoint was trained with ${changes.join('; ')}`,
      'Go on where it was trained, or give --allow-change: the run goes on with other bits.',
    );
  return changes;
}
