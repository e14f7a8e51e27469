/** Hostile texts for a parser of JSON: each is refused with code and remedy, or understood, within the caps. */
import { underCaps } from './caps.mjs';
import { hostileText, hostileVariants } from './json.mjs';
import { randomFrom, runSeed, times } from './random.mjs';
import { flawOf } from './writer.mjs';

/**
 * Gives a parser every named variant of a valid document, then random combinations of them. Nothing may get into Object.prototype.
 * @param {unknown} valid
 * @param {(text: string) => Promise<unknown>} parse takes a text, and uses what it finds in it as a reader would
 * @param {{ runs?: number, seed?: number, perList?: number }} [options]
 * @returns {Promise<{ tried: number, refused: number }>}
 */
export async function forHostileJson(valid, parse, { runs = times(2000, 2_000_000), seed = runSeed, perList = 2 } = {}) {
  const variants = [...hostileVariants(valid, { perList })];
  const seen = { tried: variants.length + runs, refused: 0 };
  await underCaps(seen.tried, async (index) => {
    const { name, text } =
      index < variants.length
        ? variants[index]
        : { name: `seed ${seed + index - variants.length}`, text: hostileText(valid, randomFrom(seed + index - variants.length)) };
    try {
      await parse(text);
    } catch (error) {
      const flaw = flawOf(error);
      if (flaw !== undefined) throw new Error(`${name}: ${flaw}; the text: ${text.slice(0, 1000)}`, { cause: error });
      seen.refused += 1;
    }
    if ('polluted' in {}) throw new Error(`${name} got into Object.prototype`);
  });
  return seen;
}
