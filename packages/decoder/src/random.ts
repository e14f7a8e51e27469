/** Counter-based random numbers: the value at (seed, index) is a pure function, so nothing has to be saved to resume. */

/** A well-mixed 32-bit hash of two numbers. */
function mix(seed: number, index: number): number {
  let h = Math.imul(index ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(seed + 0x7f4a7c15, 0xc2b2ae35);
  for (const factor of [0x7feb352d, 0x846ca68b, 0x9e3779b1]) {
    h ^= h >>> 16;
    h = Math.imul(h, factor);
    h ^= h >>> 15;
  }
  return h >>> 0;
}

/** Uniform in [0, 1) with 53 bits. */
export function uniform(seed: number, index: number): number {
  return (mix(seed, index * 2) * 2 ** 21 + (mix(seed, index * 2 + 1) >>> 11)) / 2 ** 53;
}

/** Standard normal. [Box & Muller, 1958] */
export function normal(seed: number, index: number): number {
  return Math.sqrt(-2 * Math.log(1 - uniform(seed, index * 2))) * Math.cos(2 * Math.PI * uniform(seed, index * 2 + 1));
}

/** A seed that belongs to `name`. */
export function seedFor(seed: number, name: string): number {
  let h = seed >>> 0;
  for (let i = 0; i < name.length; i++) h = mix(h, name.charCodeAt(i));
  return h;
}
