/** Classes of Unicode characters, from the engine's own regular expressions: what a scanner says agrees with what RegExp says here. */

export const OTHER = 0;
export const LETTER = 1;
export const NUMBER = 2;
export const SPACE = 3;
/** A digit that is a piece of its own, where a tokenizer wants that. */
export const DIGIT = 4;
/** In the table of first bytes: the character has more than one byte. */
export const LONG = 5;

const PAGE_BITS = 8;

/** A table of classes, filled in pages of 256 characters when one of them is first met. */
export class CharacterClasses {
  /** Class by first byte of a character's UTF-8. */
  readonly ofByte = new Uint8Array(256).fill(LONG);
  readonly #isSpace: RegExp;
  readonly #pages: (Uint8Array | undefined)[] = new Array(0x110000 >> PAGE_BITS).fill(undefined);

  constructor(isSpace: RegExp, digits: typeof DIGIT | typeof NUMBER = NUMBER) {
    this.#isSpace = isSpace;
    for (let byte = 0; byte < 0x80; byte++) this.ofByte[byte] = this.#classify(byte);
    this.ofByte.fill(digits, 0x30, 0x3a);
  }

  #classify(codePoint: number): number {
    const character = String.fromCodePoint(codePoint);
    if (/\p{L}/u.test(character)) return LETTER;
    if (/\p{N}/u.test(character)) return NUMBER;
    return this.#isSpace.test(character) ? SPACE : OTHER;
  }

  of(codePoint: number): number {
    const page = this.#pages[codePoint >> PAGE_BITS] ?? this.#fill(codePoint >> PAGE_BITS);
    return page[codePoint & ((1 << PAGE_BITS) - 1)];
  }

  #fill(number: number): Uint8Array {
    const page = Uint8Array.from({ length: 1 << PAGE_BITS }, (_, i) => this.#classify((number << PAGE_BITS) + i));
    this.#pages[number] = page;
    return page;
  }

  /** Class of the character whose UTF-8 starts at `at`. */
  at(bytes: Uint8Array, at: number): number {
    const known = this.ofByte[bytes[at]];
    return known === LONG ? this.of(codePointAt(bytes, at)) : known;
  }

  /** End of the run of characters of one class that goes on at `at`, at most `limit` characters long. */
  runEnd(bytes: Uint8Array, at: number, end: number, wanted: number, limit = 0x7fffffff): number {
    const { ofByte } = this;
    let i = at;
    for (let left = limit; i < end && left > 0; left--) {
      const known = ofByte[bytes[i]];
      if (known === wanted) i++;
      else if (known === LONG && this.of(codePointAt(bytes, i)) === wanted) i = nextCharacter(bytes, i, end);
      else break;
    }
    return i;
  }
}

/** The code point at `at`; for bytes that are no UTF-8, and past the end, some number below 0x110000. */
function codePointAt(bytes: Uint8Array, at: number): number {
  const lead = bytes[at];
  if (lead < 0xc0) return lead;
  if (lead < 0xe0) return ((lead & 0x1f) << 6) | (bytes[at + 1] & 0x3f);
  if (lead < 0xf0) return ((lead & 0x0f) << 12) | ((bytes[at + 1] & 0x3f) << 6) | (bytes[at + 2] & 0x3f);
  const codePoint = ((lead & 0x07) << 18) | ((bytes[at + 1] & 0x3f) << 12) | ((bytes[at + 2] & 0x3f) << 6) | (bytes[at + 3] & 0x3f);
  return codePoint < 0x110000 ? codePoint : 0xfffd;
}

/** Where the character after the one at `at` starts. */
export function nextCharacter(bytes: Uint8Array, at: number, end: number): number {
  const lead = bytes[at];
  const next = at + (lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4);
  return Math.min(next, end);
}

/** Where the character that ends before `end` starts; not before `start`. */
export function lastCharacter(bytes: Uint8Array, start: number, end: number): number {
  let at = end - 1;
  while (at > start && (bytes[at] & 0xc0) === 0x80) at--;
  return at;
}
