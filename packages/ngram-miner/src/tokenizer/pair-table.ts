/** A number for pairs of ids: a hash table with open addressing in one typed array. */

/** A slot: left, right, value; left is -1 if it is empty. */
const SLOT = 4;

export class PairTable {
  #slots: Int32Array;
  #used = 0;

  constructor(expected = 1024) {
    this.#slots = new Int32Array(SLOT * 2 ** Math.ceil(Math.log2(expected * 2 + 1))).fill(-1);
  }

  /** The value of a pair; -1 if it has none. */
  get(left: number, right: number): number {
    return this.#slots[slotOf(this.#slots, left, right) + 2];
  }

  set(left: number, right: number, value: number): void {
    const slots = this.#slots;
    const slot = slotOf(slots, left, right);
    if (slots[slot] === -1) this.#used++;
    slots[slot] = left;
    slots[slot + 1] = right;
    slots[slot + 2] = value;
    if (this.#used * 2 > slots.length / SLOT) this.#grow();
  }

  #grow(): void {
    const old = this.#slots;
    const slots = new Int32Array(old.length * 2).fill(-1);
    for (let from = 0; from < old.length; from += SLOT) {
      if (old[from] !== -1) slots.set(old.subarray(from, from + SLOT), slotOf(slots, old[from], old[from + 1]));
    }
    this.#slots = slots;
  }
}

/** The pair's slot, or the empty one where it belongs. */
function slotOf(slots: Int32Array, left: number, right: number): number {
  const mask = slots.length - 1;
  let hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
  hash ^= hash >>> 15;
  let slot = (hash * SLOT) & mask;
  while (slots[slot] !== -1 && (slots[slot] !== left || slots[slot + 1] !== right)) slot = (slot + SLOT) & mask;
  return slot;
}
