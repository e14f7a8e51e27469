/** The f-gram set: f-grams by rank, and the longest one that ends at each token. It lies in memory as in its file. Runs in browsers. (SCONE, Alg. 1 and 3) */
import { BulkMatcher } from './bulk-matcher.js';
import { type CountRuns, countAt } from './count-runs.js';
import { type FgramManifest, sectionsIn, verifyFile } from './format.js';
import { Matcher } from './matcher.js';
import type { ScratchPages } from './shared-bytes.js';
import { SlotTable } from './slot-table.js';

export interface MatchOptions {
  /** Filled with the id of the longest f-gram that ends at each token, −1 where none. */
  readonly ids?: Int32Array;
  /** Filled with its length, 1 where none. */
  readonly lengths?: Uint8Array;
  /** The token that opens a document, that of the set unless given; no match reaches back over it. */
  readonly boundary?: number;
  /** Tokens that stand before: matches reach back into them. The last K − 1 are enough. */
  readonly before?: ArrayLike<number>;
}

export class FgramSet {
  readonly manifest: FgramManifest;
  /** The file, which may be shared with other threads. */
  readonly bytes: Uint8Array;
  /** Where the file lies in WebAssembly's memory: the kernel's scratch space there. */
  readonly pages: ScratchPages | undefined;
  readonly #words: Int32Array;
  readonly #table: SlotTable;
  readonly #runs: CountRuns;
  #bulk: BulkMatcher | undefined;
  /** [S] the slot of each f-gram: 4 bytes each, made by one pass over the slots once tokens are asked for. Matching needs none. */
  #slots: Uint32Array | undefined;

  /**
   * @param bytes as in fgrams.bin, already verified, from a multiple of eight on: used where they lie
   * @param pages of the memory that they lie in, where the kernel can work on it
   */
  constructor(bytes: Uint8Array, manifest: FgramManifest, pages?: ScratchPages) {
    this.manifest = manifest;
    this.bytes = bytes;
    this.pages = pages;
    const { words, runs } = sectionsIn(bytes, manifest);
    this.#words = words;
    this.#table = new SlotTable(words, manifest, manifest.table);
    this.#runs = runs;
  }

  /** @param bytes of fgrams.bin @param name of the file, for errors @throws {MinerError} FGRAMS_CORRUPT */
  static parse(bytes: Uint8Array, manifest: FgramManifest, name = 'fgrams.bin'): FgramSet {
    verifyFile(bytes, manifest, name);
    return new FgramSet(bytes.byteOffset % 8 === 0 ? bytes : bytes.slice(), manifest);
  }

  /** S. */
  get size(): number {
    return this.manifest.size;
  }
  /** K. */
  get maxLength(): number {
    return this.manifest.maxLength;
  }
  get vocabSize(): number {
    return this.manifest.vocabSize;
  }
  /** The token that opens a document. */
  get boundary(): number {
    return this.manifest.boundary;
  }
  /** The set's fingerprint: equal sets have equal ones, wherever they were made. */
  get hash(): string {
    return this.manifest.hash;
  }

  /** @throws {RangeError} if there is no such f-gram */
  tokensOf(id: number): Uint32Array {
    const tokens = new Uint32Array(this.maxLength);
    let from = this.maxLength;
    let node = this.vocabSize + this.#expectId(id);
    while (node >= this.vocabSize && from > 1) {
      const slot = this.#slotOf(node);
      tokens[--from] = this.#table.tokenAt(slot);
      node = this.#table.parentAt(slot);
    }
    tokens[--from] = node;
    return tokens.slice(from);
  }

  /** How many tokens it has. @throws {RangeError} if there is no such f-gram */
  lengthOf(id: number): number {
    return this.tokensOf(id).length;
  }

  /** How often it occurs in the corpus it was mined from. @throws {RangeError} if there is no such f-gram */
  countOf(id: number): number {
    return countAt(this.#runs, this.#expectId(id));
  }

  /** −1 where it is not in the set. */
  idOf(tokens: ArrayLike<number>): number {
    if (tokens.length < 2 || tokens.length > this.maxLength) return -1;
    let node = tokens[0];
    if (!(node < this.vocabSize)) return -1;
    for (let t = 1; t < tokens.length; t++) {
      node = tokens[t] < this.vocabSize ? this.#table.find(node, tokens[t]) : 0;
      if (node === 0) return -1;
    }
    return node - this.vocabSize;
  }

  /** The longest f-gram that ends at each token. */
  match(tokens: ArrayLike<number>, { ids, lengths, boundary = this.boundary, before = [] }: MatchOptions): void {
    const bulk = this.#bulkMatcher();
    if (bulk !== undefined) {
      bulk.reset();
      bulk.push(Array.prototype.slice.call(before, 1 - this.maxLength), boundary);
      bulk.push(tokens, boundary, ids, lengths);
      return;
    }
    const matcher = this.matcher(boundary);
    for (let i = 0; i < before.length; i++) matcher.push(before[i]);
    for (let i = 0; i < tokens.length; i++) {
      const id = matcher.push(tokens[i]);
      if (ids !== undefined) ids[i] = id;
      if (lengths !== undefined) lengths[i] = matcher.length;
    }
  }

  /** @param boundary the token that opens a document */
  matcher(boundary: number = this.boundary): Matcher {
    return new Matcher(this.#table, { maxLength: this.maxLength, vocabSize: this.vocabSize, boundary });
  }

  /** Undefined where the set does not lie in memory that the kernel can work on. */
  #bulkMatcher(): BulkMatcher | undefined {
    if (this.pages === undefined) return undefined;
    const { memory } = this.pages;
    const { byteOffset, byteLength } = this.#words;
    const table = { address: byteOffset, bytes: byteLength };
    this.#bulk ??= new BulkMatcher({ memory, page: this.pages.take(), table, manifest: this.manifest });
    return this.#bulk;
  }

  #slotOf(node: number): number {
    if (this.#slots === undefined) {
      const slots = new Uint32Array(this.size);
      this.#table.eachSlot((slot, child) => {
        slots[child - this.vocabSize] = slot;
      });
      this.#slots = slots;
    }
    return this.#slots[node - this.vocabSize];
  }

  #expectId(id: number): number {
    if (Number.isInteger(id) && id >= 0 && id < this.size) return id;
    throw new RangeError(`f-gram ${id} of ${this.size}`);
  }
}
