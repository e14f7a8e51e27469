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

export class ReplyDecoder {
  /** Bytes of a reply whose end has not come yet, how many there are, and how many it takes at the least. */
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #neededBytes = 0;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;

  /** @param take gets each reply that is complete, in order @throws {ProtocolError} */
  push(chunk: Buffer, take: (reply: Reply) => void): void {
    this.#waiting.push(chunk);
    this.#waitingBytes += chunk.length;
    if (this.#waitingBytes < this.#neededBytes) return;
    this.#bytes = this.#waiting.length === 1 ? chunk : Buffer.concat(this.#waiting);
    this.#at = 0;
    let start = 0;
    for (; start < this.#bytes.length; start = this.#at) {
      const reply = this.#parse(0);
      if (reply === undefined) break;
      this.#neededBytes = 0;
      take(reply);
    }
    const rest = this.#bytes.subarray(start);
    this.#waiting = rest.length === 0 ? [] : [rest];
    this.#waitingBytes = rest.length;
    this.#neededBytes = Math.max(this.#neededBytes - start, 0);
  }

  /** @returns undefined if its end has not come; `#neededBytes` then says up to where it goes at the least */
  #parse(depth: number): Reply | undefined {
    const kind = this.#bytes[this.#at];
    if (kind === DOLLAR) return this.#parseBulk();
    if (kind === COLON) return this.#parseNumber();
    if (kind === PLUS) return this.#parseLine();
    if (kind === STAR) return this.#parseArray(depth);
    if (kind === MINUS) {
      const line = this.#parseLine();
      return line === undefined ? undefined : new ReplyError(line);
    }
    if (kind === undefined) return undefined;
    throw new ProtocolError(`an answer begins with ${JSON.stringify(this.#bytes.toString('latin1', this.#at, this.#at + 20))}`);
  }

  #parseBulk(): Buffer | null | undefined {
    const length = this.#parseNumber();
    if (length === undefined) return undefined;
    if (length === -1) return null;
    if (length < 0 || length > MAX_BULK_BYTES) throw new ProtocolError(`an answer of ${length} bytes`);
    const [start, end] = [this.#at, this.#at + length];
    if (this.#bytes.length < end + 2) {
      this.#neededBytes = end + 2;
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
    for (; at < bytes.length && bytes[at] !== CR; at += 1) {
      const digit = bytes[at]! - 48;
      digits += 1;
      if (digit < 0 || digit > 9 || digits > 18) throw new ProtocolError('a number in an answer is none');
      value = value * 10 + digit;
    }
    if (at + 2 > bytes.length) return undefined;
    if (digits === 0) throw new ProtocolError('a number in an answer is none');
    this.#at = at + 2;
    return isNegative ? -value : value;
  }

  #parseLine(): string | undefined {
    const end = this.#bytes.indexOf(CR, this.#at);
    if (end < 0 || end + 2 > this.#bytes.length) {
      if (this.#bytes.length - this.#at > MAX_LINE_BYTES) throw new ProtocolError('a line without end');
      return undefined;
    }
    const line = this.#bytes.toString('utf8', this.#at + 1, end);
    this.#at = end + 2;
    return line;
  }
}
