/** Random numbers from a seed (mulberry32), so that a failure can be replayed. */
import process from 'node:process';

/** @typedef {{ next(): number, below(limit: number): number }} Random next is in [0, 1) */

/** @param {number} seed @returns {Random} */
export function randomFrom(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return { next, below: (limit) => Math.floor(next() * limit) };
}

/** How often something is tried: the first number in `npm test`, the second with SCONE_STRESS=1. @param {number} test @param {number} stress */
export const times = (test, stress) => (process.env.SCONE_STRESS === '1' ? stress : test);

/** The seed of this run: SCONE_SEED, or 1 in `npm test` and another each time under stress. */
export const runSeed = process.env.SCONE_SEED ? Number(process.env.SCONE_SEED) : times(1, Date.now() >>> 0);
