/** A growing list of token ids, to which texts are encoded one after the other. */
export class TokenList {
  /** Ids, and room for more. */
  ids = new Uint32Array(1024);
  length = 0;

  /** Makes room for `more` ids after `length`, so that they can be written to `ids`. */
  reserve(more: number): void {
    const needed = this.length + more;
    if (needed <= this.ids.length) return;
    const grown = new Uint32Array(Math.max(needed, this.ids.length * 2));
    grown.set(this.ids.subarray(0, this.length));
    this.ids = grown;
  }

  push(id: number): void {
    this.reserve(1);
    this.ids[this.length++] = id;
  }

  clear(): void {
    this.length = 0;
  }

  /** The ids so far; what is encoded later may overwrite them. */
  view(): Uint32Array {
    return this.ids.subarray(0, this.length);
  }
}
