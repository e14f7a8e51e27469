/** A bounded queue in which owners take turns: whoever sends a hundred requests waits behind himself, not others behind him. */
export class FairQueue<T> {
  readonly #limit: number;
  /** Owners in the order of their turns; none has an empty list. */
  readonly #owners = new Map<string, T[]>();
  #size = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#size;
  }

  /** @returns false if the queue is full */
  push(owner: string, item: T): boolean {
    if (this.#size >= this.#limit) return false;
    const own = this.#owners.get(owner);
    if (own === undefined) this.#owners.set(owner, [item]);
    else own.push(item);
    this.#size += 1;
    return true;
  }

  /** The oldest item of the owner whose turn it is; his next turn comes after those of all others. */
  shift(): T | undefined {
    for (const [owner, [first, ...rest]] of this.#owners) {
      this.#owners.delete(owner);
      if (rest.length > 0) this.#owners.set(owner, rest);
      this.#size -= 1;
      return first;
    }
    return undefined;
  }

  /** Takes an item out, wherever it is. @returns whether it was there */
  remove(owner: string, item: T): boolean {
    const own = this.#owners.get(owner);
    const at = own?.indexOf(item) ?? -1;
    if (own === undefined || at < 0) return false;
    own.splice(at, 1);
    if (own.length === 0) this.#owners.delete(owner);
    this.#size -= 1;
    return true;
  }
}
