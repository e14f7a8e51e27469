/** A clock that jumps to the next thing that is to happen: hours of waiting pass at once, and everything happens in the order that the seed decides. */

/** @typedef {{ at: number, order: number, work: () => void }} Happening */

export class VirtualTime {
  /** Milliseconds. */
  now = 0;
  #order = 0;
  /** @type {Set<Happening>} a few at a time */
  #coming = new Set();

  /** @param {number} ms @param {() => void} work @returns {{ close(): void, unref(): void }} */
  after(ms, work) {
    const happening = { at: this.now + ms, order: this.#order, work };
    this.#order += 1;
    this.#coming.add(happening);
    return { close: () => void this.#coming.delete(happening), unref: () => {} };
  }

  /** @param {number} ms @returns {Promise<void>} */
  sleep(ms) {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  /**
   * Lets time pass until `work` has ended. What it waits for must come from this clock alone.
   * @template T @param {() => Promise<T>} work @returns {Promise<T>}
   */
  async run(work) {
    let hasEnded = false;
    const ending = work().finally(() => {
      hasEnded = true;
    });
    ending.catch(() => {});
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve)); // every promise that can go on has gone on
      if (hasEnded) return ending;
      const next = this.#next();
      if (next === undefined) throw new Error(`at ${this.now} ms: the work waits for something that will never happen`);
      this.#coming.delete(next);
      this.now = next.at;
      next.work();
    }
  }

  /** @returns {Happening | undefined} */
  #next() {
    let first;
    for (const one of this.#coming)
      if (first === undefined || one.at < first.at || (one.at === first.at && one.order < first.order)) first = one;
    return first;
  }
}
