/** Sizes of memory as people write them. */
import { z } from 'zod';

const UNITS: Readonly<Record<string, number>> = { MB: 1e6, GB: 1e9, MiB: 2 ** 20, GiB: 2 ** 30 };

/** An option's text: 512MiB, 2GB. */
export const sizeSchema = z.string().regex(/^\d+(MB|GB|MiB|GiB)$/, 'expected a size as 512MiB');

/** @param size as `sizeSchema` takes it */
export function bytesOf(size: string): number {
  const [, number, unit] = /^(\d+)(\w+)$/.exec(size) ?? [];
  return Number(number) * UNITS[unit];
}
