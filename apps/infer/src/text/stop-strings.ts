/**
 * Ends a text at the first stop string to be complete in it. What may be the beginning of one is held back, so the text that is given out is the
 * same however it comes in pieces.
 */
export class StopStrings {
  readonly #stops: readonly string[];
  #held = '';
  #stopped = false;

  /** @param stops none of them empty */
  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  /** Whether a stop string came; it and what follows it are not given out. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** @returns the text that may be given out now */
  push(piece: string): string {
    if (this.#stopped) return '';
    const text = this.#held + piece;
    const start = this.#firstComplete(text);
    if (start !== undefined) {
      this.#stopped = true;
      this.#held = '';
      return text.slice(0, start);
    }
    const kept = this.#beginningAtEnd(text);
    this.#held = text.slice(text.length - kept);
    return text.slice(0, text.length - kept);
  }

  /** The text is over. @returns what was held back */
  end(): string {
    const held = this.#held;
    this.#held = '';
    return held;
  }

  /** Where the stop string begins that ends first; of several that end there, the longest. */
  #firstComplete(text: string): number | undefined {
    let first: { start: number; end: number } | undefined;
    for (const stop of this.#stops) {
      const start = text.indexOf(stop);
      if (start < 0) continue;
      const end = start + stop.length;
      if (first === undefined || end < first.end || (end === first.end && start < first.start)) first = { start, end };
    }
    return first?.start;
  }

  /** Length of the longest end of `text` with which a stop string begins. */
  #beginningAtEnd(text: string): number {
    let longest = 0;
    for (const stop of this.#stops) {
      for (let length = Math.min(stop.length - 1, text.length); length > longest; length--) {
        if (text.endsWith(stop.slice(0, length))) longest = length;
      }
    }
    return longest;
  }
}
