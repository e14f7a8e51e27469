/** The set of rows that a writer has already got: one bit per row. */
export class RowSet {
  readonly rows: number;
  readonly #bits: Uint8Array;
  #count = 0;

  constructor(rows: number) {
    this.rows = rows;
    this.#bits = new Uint8Array(Math.ceil(rows / 8));
  }

  /** Number of rows in the set. */
  get count(): number {
    return this.#count;
  }

  has(id: number): boolean {
    return ((this.#bits[id >>> 3]! >>> (id & 7)) & 1) === 1;
  }

  add(id: number): void {
    if (this.has(id)) return;
    this.#bits[id >>> 3]! |= 1 << (id & 7);
    this.#count += 1;
  }

  remove(id: number): void {
    if (!this.has(id)) return;
    this.#bits[id >>> 3]! &= ~(1 << (id & 7));
    this.#count -= 1;
  }

  /** The first row at or after `from` that is not in the set; -1 if there is none. */
  nextMissing(from = 0): number {
    for (let id = from; id < this.rows; ) {
      if ((id & 7) === 0 && this.#bits[id >>> 3] === 0xff) id += 8;
      else if (this.has(id)) id += 1;
      else return id;
    }
    return -1;
  }
}
