/** Something tried again and again, each time with everything that may vary drawn from one seed. */
import { runSeed } from './random.mjs';

/**
 * @param {number} count @param {(seed: number) => Promise<Record<string, number>>} play counts what it saw
 * @returns {Promise<Record<string, number>>} the sums of what they saw
 * @throws {Error} the first failure, with the seed that replays it
 */
export async function forSeeds(count, play) {
  /** @type {Record<string, number>} */
  const sums = {};
  for (let seed = runSeed; seed < runSeed + count; seed += 1) {
    try {
      for (const [what, times] of Object.entries(await play(seed))) sums[what] = (sums[what] ?? 0) + times;
    } catch (error) {
      throw new Error(`replay with SCONE_SEED=${seed}: ${error instanceof Error ? error.message : error}`, { cause: error });
    }
  }
  return sums;
}
