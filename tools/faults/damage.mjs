/** Damage to a file that readers must find: changed bits, cuts, swapped blocks, blocks of an older file. Seeded. */
import { isDeepStrictEqual } from 'node:util';
import { real } from './calls.mjs';
import { randomFrom, runSeed, times } from './random.mjs';
import { flawOf } from './writer.mjs';

/**
 * @typedef {object} DamageOptions
 * @property {'every' | number} [bits] every bit in turn, for manifests and headers, or so many at random
 * @property {number} [truncations] at random lengths, the empty file and the file less its last byte included
 * @property {number} [swaps] pairs of blocks that change places
 * @property {{ file: string, blocks: number }} [older] a file of an older generation, of which so many blocks are put in
 * @property {number} [blockBytes]
 * @property {number} [seed]
 */

/**
 * Damages a file in place, time after time, and reads: only the right data will do, or an error with code and remedy.
 * The file is whole again afterwards.
 * @template T @param {string} file @param {() => Promise<T>} read opens, reads all and checks what can be checked
 * @param {DamageOptions} [options]
 * @returns {Promise<{ refused: number, right: number }>} how often it was told, and how often nothing was amiss
 */
export async function forDamage(file, read, options = {}) {
  const { truncations = times(100, 2000), swaps = times(50, 1000), blockBytes = 512, seed = runSeed } = options;
  const whole = real.readFileSync(file);
  const right = await read();
  const random = randomFrom(seed);
  const seen = { refused: 0, right: 0 };
  /** @param {string} what @param {Buffer} damaged */
  const attempt = async (what, damaged) => {
    if (damaged.equals(whole)) return;
    real.writeFileSync(file, damaged);
    let got;
    try {
      got = await read();
    } catch (error) {
      const flaw = flawOf(error);
      if (flaw !== undefined) throw new Error(`${file} with ${what} (seed ${seed}): ${flaw}`, { cause: error });
      seen.refused += 1;
      return;
    }
    if (!isDeepStrictEqual(got, right)) throw new Error(`${file} with ${what} (seed ${seed}): read without an error, but wrong`);
    seen.right += 1;
  };
  try {
    const { bits = times(1000, 20_000) } = options;
    for (let index = 0; index < (bits === 'every' ? whole.length * 8 : bits); index += 1) {
      const bit = bits === 'every' ? index : random.below(whole.length * 8);
      const damaged = Buffer.from(whole);
      damaged[bit >> 3] ^= 1 << (bit & 7);
      await attempt(`bit ${bit & 7} of byte ${bit >> 3} changed`, damaged);
    }
    for (let index = 0; index < truncations; index += 1) {
      const bytes = index === 0 ? 0 : index === 1 ? whole.length - 1 : random.below(whole.length);
      await attempt(`${bytes} of ${whole.length} bytes`, whole.subarray(0, bytes));
    }
    await attempt('a byte more', Buffer.concat([whole, Buffer.alloc(1)]));
    const blocks = Math.ceil(whole.length / blockBytes);
    for (let index = 0; index < swaps; index += 1) {
      const [one, other] = [random.below(blocks), random.below(blocks)];
      const damaged = Buffer.from(whole);
      copyBlock(whole, one, damaged, other, blockBytes);
      copyBlock(whole, other, damaged, one, blockBytes);
      await attempt(`blocks ${one} and ${other} of ${blockBytes} bytes swapped`, damaged);
    }
    if (options.older) {
      const older = real.readFileSync(options.older.file);
      for (let index = 0; index < options.older.blocks; index += 1) {
        const block = random.below(Math.ceil(Math.min(older.length, whole.length) / blockBytes));
        const damaged = Buffer.from(whole);
        copyBlock(older, block, damaged, block, blockBytes);
        await attempt(`block ${block} of ${blockBytes} bytes from an older generation`, damaged);
      }
    }
  } finally {
    real.writeFileSync(file, whole);
  }
  return seen;
}

/** @param {Buffer} from @param {number} block @param {Buffer} to @param {number} at @param {number} blockBytes */
function copyBlock(from, block, to, at, blockBytes) {
  from.copy(to, at * blockBytes, block * blockBytes, Math.min((block + 1) * blockBytes, from.length));
}
