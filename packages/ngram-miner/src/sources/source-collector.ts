/**
 * Where f-grams come from: the first few documents that hold each. One pass over the corpus it was mined from, in order, so the answer is the
 * same every time. What holds an f-gram holds its suffixes: once the list of the longest match has no need of a document, no shorter one has,
 * and most positions cost a look at one byte.
 */
import { MinerError } from '../errors.js';
import type { FgramSet, Matcher } from '../fgrams/index.js';

/** An empty place, where fewer documents hold the f-gram. */
export const NO_DOCUMENT = 0xffff_ffff;

export class SourceCollector {
  /**
   * [S, N, 2] u32: document, counted over the corpus, and the token in it where the f-gram begins first; the token that opens the document is
   * token 0. In order of documents; empty places are `NO_DOCUMENT`, 0.
   */
  readonly entries: Uint32Array<ArrayBuffer>;
  /** N. */
  readonly perFgram: number;
  readonly #matcher: Matcher;
  readonly #boundary: number;
  /** [S] places taken. */
  readonly #taken: Uint8Array;
  /** Of each shard, how many documents there were before it. */
  readonly #firstDocuments: number[] = [];
  #document = -1;
  /** Of the next token, in its document. */
  #offset = 0;
  #isNewShard = false;

  /** @param perFgram N: documents kept of each f-gram */
  constructor(set: FgramSet, perFgram: number) {
    if (!Number.isInteger(perFgram) || perFgram < 1 || perFgram > 255)
      throw new MinerError('MINE_OPTION', `${perFgram} sources of each f-gram are not supported`, 'Choose 1 to 255 sources.');
    this.perFgram = perFgram;
    this.#boundary = set.boundary;
    this.#matcher = set.matcher();
    this.entries = new Uint32Array(set.size * perFgram * 2);
    for (let place = 0; place < this.entries.length; place += 2) this.entries[place] = NO_DOCUMENT;
    this.#taken = new Uint8Array(set.size);
  }

  /** How many documents each shard holds. */
  get shardDocuments(): number[] {
    return this.#firstDocuments.map((first, shard) => (this.#firstDocuments[shard + 1] ?? this.#document + 1) - first);
  }

  /** The next tokens begin a shard, and so a document. */
  startShard(): void {
    this.#firstDocuments.push(this.#document + 1);
    this.#matcher.reset();
    this.#isNewShard = true;
  }

  /** @param tokens the next of the shard */
  add(tokens: ArrayLike<number>): void {
    for (let i = 0; i < tokens.length; i++, this.#offset++) {
      if (tokens[i] === this.#boundary || this.#isNewShard) {
        this.#isNewShard = false;
        this.#document++;
        this.#offset = 0;
      }
      const longest = this.#matcher.push(tokens[i]);
      if (longest < 0 || !this.#wants(longest)) continue;
      for (let length = this.#matcher.length; length >= 2; length--) {
        const id = this.#matcher.idOfLength(length);
        if (!this.#wants(id)) break;
        const place = 2 * (id * this.perFgram + this.#taken[id]++);
        this.entries[place] = this.#document;
        this.entries[place + 1] = this.#offset + 1 - length;
      }
    }
    if (this.#document >= NO_DOCUMENT || this.#offset > NO_DOCUMENT)
      throw new MinerError('MINE_OPTION', 'sources are kept of 2^32 documents of 2^32 tokens at most', 'Mine without sources.');
  }

  /** Whether the current document has a place in the list of an f-gram. */
  #wants(id: number): boolean {
    const taken = this.#taken[id];
    return taken < this.perFgram && (taken === 0 || this.entries[2 * (id * this.perFgram + taken - 1)] !== this.#document);
  }
}
