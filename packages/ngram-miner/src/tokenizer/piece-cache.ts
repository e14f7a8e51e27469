/**
 * The ids of pieces seen before, by their bytes. Text repeats itself: of a language's running words one in fifty is new. Everything lies in
 * two typed arrays: a table of slots with open addressing, and records of a piece's bytes and ids that lie side by side.
 */

/** A slot: hash, where its record starts (0 if empty), bytes of the piece, ids it has. */
const SLOT = 4;
const FIRST_SLOTS = 2 ** 14;
const FIRST_WORDS = 2 ** 16;

/** Bounds memory: 8 MiB of slots and 16 MiB of records. A full cache starts again, so it follows the text. */
const MAX_SLOTS = 2 ** 19;
const MAX_WORDS = 2 ** 22;

const wordsOf = (bytes: number): number => (bytes + 3) >> 2;

export class PieceCache {
  /** Records: the piece as little-endian words, the last one overlapping the one before; its ids. */
  words = new Int32Array(FIRST_WORDS);
  /** Ids of the piece that was found last. */
  count = 0;
  readonly #maxSlots: number;
  readonly #maxWords: number;
  #end = 1;
  #slots = new Int32Array(SLOT * FIRST_SLOTS);
  #used = 0;

  constructor({ bounded = true } = {}) {
    this.#maxSlots = bounded ? MAX_SLOTS : Number.POSITIVE_INFINITY;
    this.#maxWords = bounded ? MAX_WORDS : Number.POSITIVE_INFINITY;
  }

  /** Where the ids of a piece of at least 2 bytes start in `words`; 0 if it is not known. `view` looks at the same bytes. */
  find(view: DataView, at: number, end: number, hash: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    const length = end - at;
    for (let slot = (hash * SLOT) & mask; ; slot = (slot + SLOT) & mask) {
      const record = slots[slot + 1];
      if (record === 0) return 0;
      if (slots[slot] !== hash || slots[slot + 2] !== length) continue;
      const words = this.words;
      let word = record;
      let i = at;
      while (i + 4 < end && words[word] === view.getInt32(i, true)) {
        word++;
        i += 4;
      }
      if (i + 4 < end || words[word] !== lastWord(view, at, end)) continue;
      this.count = slots[slot + 3];
      return word + 1;
    }
  }

  /** Keeps the ids of a piece that is not in the cache. */
  add(view: DataView, at: number, end: number, hash: number, ids: Uint32Array, from: number, to: number): void {
    const needed = wordsOf(end - at) + to - from;
    if (this.#used * 2 >= this.#slots.length / SLOT) this.#growSlots();
    if (this.#end + needed > this.words.length) this.#growWords(needed);
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = (hash * SLOT) & mask;
    while (slots[slot + 1] !== 0) slot = (slot + SLOT) & mask;
    slots[slot] = hash;
    slots[slot + 1] = this.#end;
    slots[slot + 2] = end - at;
    slots[slot + 3] = to - from;
    this.#used++;
    const words = this.words;
    for (let i = at; i + 4 < end; i += 4) words[this.#end++] = view.getInt32(i, true);
    words[this.#end++] = lastWord(view, at, end);
    for (let i = from; i < to; i++) words[this.#end++] = ids[i];
  }

  #clear(): void {
    this.#slots.fill(0);
    this.#used = 0;
    this.#end = 1;
  }

  #growSlots(): void {
    const old = this.#slots;
    if (old.length / SLOT >= this.#maxSlots) {
      this.#clear();
      return;
    }
    const slots = new Int32Array(old.length * 2);
    const mask = slots.length - 1;
    for (let from = 0; from < old.length; from += SLOT) {
      if (old[from + 1] === 0) continue;
      let slot = (old[from] * SLOT) & mask;
      while (slots[slot + 1] !== 0) slot = (slot + SLOT) & mask;
      slots.set(old.subarray(from, from + SLOT), slot);
    }
    this.#slots = slots;
  }

  #growWords(needed: number): void {
    if (this.words.length >= this.#maxWords) {
      this.#clear();
      return;
    }
    const words = new Int32Array(Math.max(this.words.length * 2, this.#end + needed));
    words.set(this.words);
    this.words = words;
  }
}

/** The last four bytes of a piece, or its two or three. */
function lastWord(view: DataView, at: number, end: number): number {
  if (end - at >= 4) return view.getInt32(end - 4, true);
  return view.getUint16(at, true) | (view.getUint8(end - 1) << 16);
}

/** Hash of a piece of at least 2 bytes. */
export function hashPiece(view: DataView, at: number, end: number): number {
  let hash = end - at;
  for (let i = at; i + 4 < end; i += 4) hash = mix(hash, view.getInt32(i, true));
  hash = mix(hash, lastWord(view, at, end));
  return hash ^ (hash >>> 15);
}

function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}
