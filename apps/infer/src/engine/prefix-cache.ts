/**
 * What slots still hold of sequences that have left: a prompt that begins as one of them did goes on from there. Owners do not share, so nobody
 * learns from the time of an answer what others asked.
 */
interface Left {
  readonly owner: string;
  readonly tokens: readonly number[];
  /** When it left. */
  readonly turn: number;
}

const NOTHING: Left = { owner: '', tokens: [], turn: 0 };

export class PrefixCache {
  readonly #left: Left[];
  #turns = 0;

  constructor(slots: number) {
    this.#left = Array.from({ length: slots }, () => NOTHING);
  }

  /** A sequence has left its slot. @param tokens what the slot holds */
  keep(slot: number, owner: string, tokens: readonly number[]): void {
    this.#turns += 1;
    this.#left[slot] = { owner, tokens, turn: this.#turns };
  }

  /**
   * Gives a sequence the slot that holds most of its prompt, of those the one that was left longest ago.
   * @param free slots, at least one @param most tokens of the prompt that may be shared
   */
  take(
    free: readonly number[],
    owner: string,
    prompt: ArrayLike<number>,
    most: number,
  ): { readonly slot: number; readonly shared: number } {
    const candidates = free.map((slot) => {
      const left = this.#left[slot];
      let shared = 0;
      if (left.owner === owner) while (shared < most && shared < left.tokens.length && left.tokens[shared] === prompt[shared]) shared += 1;
      return { slot, shared, turn: left.turn };
    });
    const [{ slot, shared }] = candidates.sort((a, b) => b.shared - a.shared || a.turn - b.turn);
    this.#left[slot] = NOTHING;
    return { slot, shared };
  }
}
