/** What Valkey servers are told: commands as arrays of bulk strings, written into one buffer that is sent at once. */
const MAX_DIGITS = 16;

/** Commands one behind the other, as servers take them. */
export class CommandBuffer {
  #bytes: Buffer;
  #length = 0;

  constructor(capacity: number) {
    this.#bytes = Buffer.allocUnsafe(capacity);
  }

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  clear(): void {
    this.#length = 0;
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  text(text: string): void {
    this.#reserve(text.length);
    this.#length += this.#bytes.write(text, this.#length, 'latin1');
  }

  /** The digits of a number, and the end of a line. @param unit its highest power of ten */
  decimalLine(value: number, unit: number): void {
    this.#reserve(MAX_DIGITS + 2);
    for (let rest = value, place = unit; place >= 1; place /= 10) {
      const digit = Math.floor(rest / place);
      rest -= digit * place;
      this.#bytes[this.#length++] = 48 + digit;
    }
    this.#bytes[this.#length++] = 13;
    this.#bytes[this.#length++] = 10;
  }

  command(words: readonly (string | Uint8Array)[]): void {
    this.text(`*${words.length}\r\n`);
    for (const word of words) {
      const bytes = typeof word === 'string' ? Buffer.from(word) : word;
      this.text(`$${bytes.length}\r\n`);
      this.raw(bytes);
      this.text('\r\n');
    }
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + bytes));
    larger.set(this.bytes);
    this.#bytes = larger;
  }
}
