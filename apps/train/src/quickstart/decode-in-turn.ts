/** How long each of several models takes per decoded token, in turn, so that whatever else the machine does meets all of them. */
import type { Device } from '@sconelm/tensor-webgpu';
import { type SampleOptions, writeSample } from '../run/sample.js';

const ROUNDS = 5;

/** @param models what each writes a sample with @returns by model the median over rounds of its milliseconds per token */
export async function decodeInTurn<Name extends string>(
  device: Device,
  models: Readonly<Record<Name, SampleOptions>>,
): Promise<Record<Name, number>> {
  const names = Object.keys(models) as Name[];
  const times = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let round = 0; round < ROUNDS; round++)
    for (const name of names) times[name].push((await writeSample(device, models[name])).msPerToken);
  const median = (values: number[]) => values.sort((a, b) => a - b)[ROUNDS >> 1];
  return Object.fromEntries(names.map((name) => [name, median(times[name])])) as Record<Name, number>;
}
