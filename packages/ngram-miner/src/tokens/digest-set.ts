/** A set of digests, 128 bits each, in 22 to 43 bytes a member: exact duplicates among more documents than a Set of strings can hold. */
import { hash } from 'node:crypto';

/** The first 128 bits of the text's SHA-256, in hexadecimal: two different texts in a trillion share one with probability 10⁻¹⁵. */
export const digestOf = (utf8: Uint8Array): string => hash('sha256', utf8, 'hex').slice(0, 32);

const MAX_LOAD = 0.75;

export class DigestSet {
  size = 0;
  /** Four words a slot; a slot of zeros is free. */
  #slots = new Uint32Array(4 * 1024);

  has(digest: string): boolean {
    const words = wordsOf(digest);
    return !isFree(this.#slots, slotOf(this.#slots, words));
  }

  /** @returns whether it was not there */
  add(digest: string): boolean {
    const words = wordsOf(digest);
    const slot = slotOf(this.#slots, words);
    if (!isFree(this.#slots, slot)) return false;
    this.#slots.set(words, slot);
    this.size++;
    if (this.size * 4 > this.#slots.length * MAX_LOAD) this.#grow();
    return true;
  }

  #grow(): void {
    const grown = new Uint32Array(this.#slots.length * 2);
    for (let slot = 0; slot < this.#slots.length; slot += 4) {
      if (isFree(this.#slots, slot)) continue;
      const words = this.#slots.subarray(slot, slot + 4);
      grown.set(words, slotOf(grown, words));
    }
    this.#slots = grown;
  }
}

function wordsOf(digest: string): Uint32Array {
  const words = new Uint32Array(4);
  for (let i = 0; i < 4; i++) words[i] = Number.parseInt(digest.slice(8 * i, 8 * i + 8), 16);
  // The one digest that would look free becomes its neighbour.
  if (words.every((word) => word === 0)) words[3] = 1;
  return words;
}

const isFree = (slots: Uint32Array, at: number): boolean => (slots[at] | slots[at + 1] | slots[at + 2] | slots[at + 3]) === 0;

/** Where the digest is, or the free slot it would take. */
function slotOf(slots: Uint32Array, [a, b, c, d]: Uint32Array): number {
  const mask = slots.length - 1;
  // A digest's bits are as good as random: its first word is the hash.
  for (let at = (a * 4) & mask; ; at = (at + 4) & mask) {
    if (isFree(slots, at) || (slots[at] === a && slots[at + 1] === b && slots[at + 2] === c && slots[at + 3] === d)) return at;
  }
}
