/** Text of tokens as they come: pieces of whole characters, though a character may be spread over several tokens. */
import type { Tokenizer } from '@sconelm/ngram-miner/tokenizer';

export class TextStream {
  readonly #tokenizer: Tokenizer;
  readonly #utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
  /** Of a tokenizer whose tokens depend on what stands before: tokens already told, and those that are not yet. */
  #told: readonly number[];
  #waiting: number[] = [];

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
    this.#told = [tokenizer.endOfText];
  }

  /** @returns the text that is whole now; nothing while a character is not */
  push(token: number): string {
    if (this.#tokenizer.isFast) return this.#utf8.decode(this.#tokenizer.decodeBytes([token]), { stream: true });
    this.#waiting.push(token);
    const text = this.#textOfWaiting();
    return text.endsWith('\ufffd') ? '' : this.#tell(text);
  }

  /** The text is over. @returns what was not whole, with U+FFFD in the place of bytes that are no character */
  end(): string {
    return this.#tokenizer.isFast ? this.#utf8.decode() : this.#tell(this.#textOfWaiting());
  }

  #textOfWaiting(): string {
    const before = this.#tokenizer.decode(this.#told);
    return this.#tokenizer.decode([...this.#told, ...this.#waiting]).slice(before.length);
  }

  #tell(text: string): string {
    if (this.#waiting.length > 0) this.#told = this.#waiting;
    this.#waiting = [];
    return text;
  }
}
