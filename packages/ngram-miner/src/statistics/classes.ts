/** What kind of text an f-gram is, by a rule on its decoded characters. */

export const FGRAM_CLASSES = ['words', 'code', 'numbers', 'punctuation', 'white space', 'other'] as const;
export type FgramClass = (typeof FGRAM_CLASSES)[number];

const WHITE_SPACE = /^\s+$/u;
/** Digits and what stands between and beside them: `1,000.5`, `$20`, `12:30`, `(50 %)`. */
const NUMBERS = /^(?=.*\p{N})[\p{N}\s\p{Sc}.,:;%‰/()+\-–−'’]+$/su;
/** A character that prose does without, or a few that prose does not join: `f(`, `self.x`, `getName`, `::`, a deeply indented line. */
const CODE =
  /[{}[\]<>=_\\|^~`#@*+]|\$\p{L}|;\s*\n|\/\/|\/\*|&&|::|->|\(\)|\p{L}\(|\p{Ll}{2}\.\p{Ll}|\)\.\p{L}|\p{Ll}{3}\p{Lu}|(?: {4}|\t)\s*\S/u;
const PUNCTUATION = /^[\s\p{P}\p{Sc}]+$/u;
/** Letters of any script, digits, blanks, punctuation and signs of currencies. */
const WORDS = /^[\p{L}\p{M}\p{N}\s\p{P}\p{Sc}]+$/u;

/** The first that holds: white space alone, numbers, code, punctuation, words. Other is what is left: symbols, halves of characters. */
export function classOf(text: string): FgramClass {
  if (WHITE_SPACE.test(text)) return 'white space';
  if (NUMBERS.test(text)) return 'numbers';
  if (CODE.test(text)) return 'code';
  if (PUNCTUATION.test(text)) return 'punctuation';
  return WORDS.test(text) ? 'words' : 'other';
}
