/** Offsets of buffer bindings. */

/** Offsets of bindings are multiples of this on every adapter. */
export const ALIGNMENT = 256;

/** `bytes`, rounded up to an offset that can be bound. */
export function align(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
