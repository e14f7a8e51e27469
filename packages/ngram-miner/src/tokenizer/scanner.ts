/**
 * How text is cut into pieces, which are then encoded one by one: scanners written by hand for the regular expressions that byte-level
 * tokenizers use. Each gives the end of the piece that starts at a byte; text is UTF-8.
 */
import { CharacterClasses, DIGIT, LETTER, lastCharacter, NUMBER, nextCharacter, OTHER, SPACE } from './character-class.js';

/** End of the piece of `bytes[at, end)` that starts at `at` < `end`. */
export type Scanner = (bytes: Uint8Array, at: number, end: number) => number;

/** What regular expressions of JavaScript take for a blank, and what those of tokenizer.json do: U+FEFF and U+0085 are what differs. */
const JAVASCRIPT_SPACE = /\s/u;
const UNICODE_SPACE = /\p{White_Space}/u;

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const BLANK = 0x20;
const APOSTROPHE = 0x27;
/** Sets the bit that tells a small letter of ASCII from its capital. */
const SMALL = 0x20;

const isNewline = (byte: number): boolean => byte === LINE_FEED || byte === CARRIAGE_RETURN;

/** End of 's, 't, 're, 've, 'm, 'll, 'd at the apostrophe `at`, or `at`; `fold` is SMALL to take capitals too. */
function contractionEnd(bytes: Uint8Array, at: number, end: number, fold: number): number {
  if (at + 1 >= end) return at;
  const first = bytes[at + 1] | fold;
  if (first === 0x73 || first === 0x74 || first === 0x6d || first === 0x64) return at + 2; // s t m d
  if (at + 2 >= end) return at;
  const second = bytes[at + 2] | fold;
  if ((first === 0x72 || first === 0x76) && second === 0x65) return at + 3; // re ve
  return first === 0x6c && second === 0x6c ? at + 3 : at; // ll
}

/** `\s+(?!\S)|\s+`: a run of blanks, without its last one where text follows. */
function blanksEnd(bytes: Uint8Array, at: number, run: number, isEnd: boolean): number {
  if (isEnd) return run;
  const last = lastCharacter(bytes, at, run);
  return last > at ? last : run;
}

/** `'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+` [Radford et al., 2019] */
function wordScanner(classes: CharacterClasses): Scanner {
  return (bytes, at, end) => {
    const first = bytes[at];
    if (first === APOSTROPHE) {
      const contraction = contractionEnd(bytes, at, end, 0);
      if (contraction > at) return contraction;
    }
    const start = first === BLANK && at + 1 < end ? at + 1 : at;
    const kind = classes.at(bytes, start);
    // A digit of its own ends the text before it.
    if (kind === DIGIT) return at + 1;
    if (kind !== SPACE) return classes.runEnd(bytes, start, end, kind);
    const run = classes.runEnd(bytes, at, end, SPACE);
    return blanksEnd(bytes, at, run, run === end || classes.at(bytes, run) === DIGIT);
  };
}

/**
 * `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,numbers}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
 * [tiktoken's cl100k_base; Llama 3; Qwen 2]
 */
function clauseScanner(classes: CharacterClasses, numbers: number): Scanner {
  return (bytes, at, end) => {
    const first = bytes[at];
    if (first === APOSTROPHE) {
      const contraction = contractionEnd(bytes, at, end, SMALL);
      if (contraction > at) return contraction;
    }
    const kind = classes.at(bytes, at);
    if (kind === LETTER) return classes.runEnd(bytes, at, end, LETTER);
    if (kind === NUMBER) return classes.runEnd(bytes, at, end, NUMBER, numbers);
    const second = nextCharacter(bytes, at, end);
    const secondKind = second < end ? classes.at(bytes, second) : SPACE;
    if (secondKind === LETTER && !isNewline(first)) return classes.runEnd(bytes, second, end, LETTER);
    if (kind === OTHER || (first === BLANK && secondKind === OTHER)) {
      let run = classes.runEnd(bytes, second, end, OTHER);
      while (run < end && isNewline(bytes[run])) run++;
      return run;
    }
    const run = classes.runEnd(bytes, at, end, SPACE);
    for (let i = run; i > at; i--) if (isNewline(bytes[i - 1])) return i;
    return blanksEnd(bytes, at, run, run === end);
  };
}

/** GPT-2's pieces as the pre-tokenizer ByteLevel makes them. */
export const scanWords: Scanner = wordScanner(new CharacterClasses(JAVASCRIPT_SPACE));
/** The same with every digit of ASCII alone: Digits (individual) before ByteLevel. */
export const scanWordsAndDigits: Scanner = wordScanner(new CharacterClasses(JAVASCRIPT_SPACE, DIGIT));
export const scanWhole: Scanner = (_bytes, _at, end) => end;

const unicode = new CharacterClasses(UNICODE_SPACE);
const CLAUSE_START = String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|`;
const CLAUSE_END = String.raw`| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
const WORDS = String.raw`| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

/** Scanners for the regular expressions of the pre-tokenizer Split. */
export const SCANNERS: ReadonlyMap<string, Scanner> = new Map([
  [`'s|'t|'re|'ve|'m|'ll|'d${WORDS}`, wordScanner(unicode)],
  [`'(?:[sdmt]|ll|ve|re)${WORDS}`, wordScanner(unicode)],
  [String.raw`${CLAUSE_START}\p{N}{1,3}${CLAUSE_END}`, clauseScanner(unicode, 3)],
  [String.raw`${CLAUSE_START}\p{N}${CLAUSE_END}`, clauseScanner(unicode, 1)],
]);
