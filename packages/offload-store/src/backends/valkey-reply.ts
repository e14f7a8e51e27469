/** What a Valkey server answers: the RESP2 protocol, decoded from chunks as they come. https://valkey.io/topics/protocol/ */

/** A bulk string is bytes, a simple string text; null is what is not there. */
export type Reply = Buffer | string | number | null | ReplyError | readonly Reply[];

/** An answer that says what went wrong: its first word is the kind (`MOVED`, `OOM`, `ERR`). */
export class ReplyError extends Error {
  get kind(): string {
    return this.message.split(' ', 1)[0]!;
  }
}

/** The bytes are no RESP2. */
export class ProtocolError extends Error {}

const [CR, PLUS, MINUS, COLON, DOLLAR, STAR] = [13, 43, 45, 58, 36, 42];
const MAX_LINE_BYTES = 2 ** 16;
const MAX_BULK_BYTES = 2 ** 27;
const MAX_ELEMENTS = 2 ** 20;
const MAX_DEPTH = 8;

const FIRST_CAPACITY = 2 ** 17;

/** Owns the buffer that the socket reads into, so that nothing is allocated or moved for what comes. */
export class ReplyDecoder {
  #bytes: Buffer = Buffer.allocUnsafe(FIRST_CAPACITY);
  /** Bytes that have come, of which the replies up to `#at` are decoded. */
  #end = 0;
  #at = 0;
  /** Up to where the reply goes that has begun, at the least. */
  #neededEnd = 0;

  /** Where the next bytes may be put. */
  get space(): Buffer {
    if (this.#end === this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#neededEnd, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, this.#end);
      this.#bytes = larger;
    }
    return this.#bytes.subarray(this.#end);
  }

  /** Decodes, with `count` bytes more in `space`. @param take gets each reply that is complete, in order @throws {ProtocolError} */
  push(count: number, take: (reply: Reply) => void): void {
    this.#end += count;
    if (this.#end < this.#neededEnd) return;
    this.#neededEnd = 0;
    let start = 0;
    for (this.#at = 0; start < this.#end; start = this.#at) {
      const reply = this.#parse(0);
      if (reply === undefined) break;
      take(reply);
    }
    this.#bytes.copyWithin(0, start, this.#end);
    this.#end -= start;
    this.#neededEnd = Math.max(this.#neededEnd - start, 0);
  }

  /** @returns undefined if its end has not come; `#neededEnd` may then say up to where it goes */
  #parse(depth: number): Reply | undefined {
    if (this.#at >= this.#end) return undefined;
    const kind = this.#bytes[this.#at];
    if (kind === DOLLAR) return this.#parseBulk();
    if (kind === COLON) return this.#parseNumber();
    if (kind === PLUS) return this.#parseLine();
    if (kind === STAR) return this.#parseArray(depth);
    if (kind === MINUS) {
      const line = this.#parseLine();
      return line === undefined ? undefined : new ReplyError(line);
    }
    throw new ProtocolError(
      `an answer begins with ${JSON.stringify(this.#bytes.toString('latin1', this.#at, Math.min(this.#at + 20, this.#end)))}`,
    );
  }

  #parseBulk(): Buffer | null | undefined {
    const length = this.#parseNumber();
    if (length === undefined) return undefined;
    if (length === -1) return null;
    if (length < 0 || length > MAX_BULK_BYTES) throw new ProtocolError(`an answer of ${length} bytes`);
    const [start, end] = [this.#at, this.#at + length];
    if (this.#end < end + 2) {
      this.#neededEnd = end + 2;
      return undefined;
    }
    if (this.#bytes[end] !== CR) throw new ProtocolError(`an answer is longer than the ${length} bytes that it told`);
    this.#at = end + 2;
    return this.#bytes.subarray(start, end);
  }

  #parseArray(depth: number): readonly Reply[] | null | undefined {
    const length = this.#parseNumber();
    if (length === undefined) return undefined;
    if (length === -1) return null;
    if (length < 0 || length > MAX_ELEMENTS || depth === MAX_DEPTH) throw new ProtocolError(`an answer of ${length} elements`);
    const elements: Reply[] = [];
    while (elements.length < length) {
      const element = this.#parse(depth + 1);
      if (element === undefined) return undefined;
      elements.push(element);
    }
    return elements;
  }

  #parseNumber(): number | undefined {
    const bytes = this.#bytes;
    let at = this.#at + 1;
    const isNegative = bytes[at] === MINUS;
    if (isNegative) at += 1;
    let value = 0;
    let digits = 0;
    for (; at < this.#end && bytes[at] !== CR; at += 1) {
      const digit = bytes[at]! - 48;
      digits += 1;
      if (digit < 0 || digit > 9 || digits > 18) throw new ProtocolError('a number in an answer is none');
      value = value * 10 + digit;
    }
    if (at + 2 > this.#end) return undefined;
    if (digits === 0) throw new ProtocolError('a number in an answer is none');
    this.#at = at + 2;
    return isNegative ? -value : value;
  }

  #parseLine(): string | undefined {
    const end = this.#bytes.indexOf(CR, this.#at);
    if (end < 0 || end + 2 > this.#end) {
      if (this.#end - this.#at > MAX_LINE_BYTES) throw new ProtocolError('a line without end');
      return undefined;
    }
    const line = this.#bytes.toString('utf8', this.#at + 1, end);
    this.#at = end + 2;
    return line;
  }
}
