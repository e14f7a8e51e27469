/**
 * The trie of an f-gram set as one open-addressed table, (node, token) -> node. A slot holds all three, so look-ups are exact. F-grams are put in
 * by rank, each into the first free slot from its home on (linear probing): the frequent ones lie at home, where one read finds them, and equal sets
 * make equal tables. The table is the file: loading it is reading it.
 */
import { MinerError } from '../errors.js';
import type { RankedFgrams } from './ranked.js';

/** What a reader needs to know of a table besides the numbers of f-grams and tokens. */
export interface TableShape {
  /** Slots that look-ups begin at. */
  readonly homes: number;
  /** Of the tokens' hash. */
  readonly seed: number;
}

export interface TableSize {
  /** F-grams. */
  readonly size: number;
  readonly vocabSize: number;
}

/** Slots beyond the last home. */
const TAIL = 128;
/** Above it, look-ups of what is not there become long; below it, an f-gram takes more than 11 bytes. */
const LOAD = 0.75;
/** Typed arrays of Node 20 and of browsers end at 4 GiB, and so does the memory of WebAssembly, which has scratch space too. */
const MAX_BYTES = 2 ** 32 - 2 ** 25;
const MAX_VOCABULARY = 2 ** 24;

const bitsOf = (values: number): number => Math.max(1, Math.ceil(Math.log2(values)));

/** Words of a slot: two where parent, token and child fit in 64 bits (2^24 nodes with 65,536 tokens), else three. */
function stepOf({ size, vocabSize }: TableSize): 2 | 3 {
  return 2 * bitsOf(vocabSize + size) + bitsOf(vocabSize) <= 64 ? 2 : 3;
}

/** Bits of a node in slots of two words; 0 where slots have three. */
export function nodeBits(of: TableSize): number {
  return stepOf(of) === 2 ? bitsOf(of.vocabSize + of.size) : 0;
}

/** Bytes of the table. */
export function tableBytes(of: TableSize, { homes }: TableShape): number {
  return (homes + TAIL) * stepOf(of) * 4;
}

export class SlotTable {
  /**
   * Slots of two words: the parent in k bits and, above it, the token's low bits; the child in k bits and the token's other bits. Slots of three
   * words: parent, child, token. A child is never 0, so slots that are 0 are free.
   */
  readonly #words: Int32Array;
  readonly #step: 2 | 3;
  /** k: every node fits in so many bits. 0 where nodes have words of their own. */
  readonly #shift: number;
  /** Of the bits of a word that hold a node. */
  readonly #mask: number;
  /** Homes per hash. */
  readonly #scale: number;
  readonly #seed: number;
  /** What `find` looks up. */
  readonly #pair = new Uint32Array(2);

  /** @param words of tableBytes(of, shape) bytes */
  constructor(words: Int32Array, of: TableSize, { homes, seed }: TableShape) {
    this.#words = words;
    this.#step = stepOf(of);
    this.#shift = nodeBits(of);
    this.#mask = this.#step === 2 ? 2 ** this.#shift - 1 : -1;
    this.#scale = homes / 2 ** 32;
    this.#seed = seed;
  }

  /** One hash for all look-ups of a token. */
  #hash(token: number): number {
    let hash = Math.imul(token + this.#seed + 1, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    return hash ^ (hash >>> 16);
  }

  /** Where the slot begins that a look-up begins at. The golden ratio spreads consecutive nodes evenly. */
  #homeOf(parent: number, hash: number): number {
    return (((Math.imul(parent, 0x9e3779b1) + hash) >>> 0) * this.#scale) | 0;
  }

  /** The word that tells parents apart, and the token's low bits where there is room. */
  #keyOf(parent: number, token: number): number {
    return this.#step === 2 ? parent | (token << this.#shift) : parent;
  }

  /** What of a token its key does not hold. */
  #restOf(token: number): number {
    return this.#step === 2 ? token >>> (32 - this.#shift) : token;
  }

  /** The node that `token` leads to from `parent`; 0 where none. */
  find(parent: number, token: number): number {
    this.#pair[0] = parent;
    return this.advance(this.#pair, 1, token) === 2 ? this.#pair[1] : 0;
  }

  /**
   * One token on: from the nodes of the suffixes of 1, 2, ... tokens that end before `token` to those that end with it.
   * @param nodes [K], replaced
   * @param limit how many of them may be extended
   * @returns how many there are now
   */
  advance(nodes: Uint32Array, limit: number, token: number): number {
    // No look-up waits for the one before: the fewer instructions each has, the more of them a processor runs ahead into while memory is on its way.
    const words = this.#words;
    const step = this.#step;
    const shift = this.#shift;
    const mask = this.#mask;
    const hash = this.#hash(token);
    const low = this.#keyOf(0, token);
    const rest = this.#restOf(token);
    let node = token;
    for (let n = 0; n < limit; n++) {
      const parent = nodes[n];
      const key = parent | low;
      let next = 0;
      for (let at = this.#homeOf(parent, hash) * step; at < words.length; at += step) {
        const child = words[at + 1];
        if (words[at] === key && (step === 2 ? child : words[at + 2]) >>> shift === rest) {
          next = child & mask;
          break;
        }
        if (child === 0) break;
      }
      nodes[n] = node;
      if (next === 0) return n + 1;
      node = next;
    }
    nodes[limit] = node;
    return limit + 1;
  }

  /** Calls `visit` with each used slot's number and child, in order of slots. */
  eachSlot(visit: (slot: number, child: number) => void): void {
    const words = this.#words;
    for (let slot = 0, at = 1; at < words.length; slot++, at += this.#step) if (words[at] !== 0) visit(slot, words[at] & this.#mask);
  }

  /** The parent of a used slot. */
  parentAt(slot: number): number {
    return this.#words[slot * this.#step] & this.#mask;
  }

  /** The token of a used slot. */
  tokenAt(slot: number): number {
    const at = slot * this.#step;
    if (this.#step === 3) return this.#words[at + 2];
    return (this.#words[at] >>> this.#shift) | ((this.#words[at + 1] >>> this.#shift) << (32 - this.#shift));
  }

  /** Fills empty words. @returns whether every f-gram found a slot @throws {MinerError} FGRAMS_CORRUPT */
  fill({ size, vocabSize, parents, tokens }: RankedFgrams): boolean {
    const words = this.#words;
    const step = this.#step;
    for (let id = 0; id < size; id++) {
      const token = tokens[id];
      const key = this.#keyOf(parents[id], token);
      const rest = this.#restOf(token);
      let at = this.#homeOf(parents[id], this.#hash(token)) * step;
      for (; words[at + 1] !== 0; at += step) {
        if (at >= words.length) return false;
        if (words[at] === key && words[at + step - 1] >>> this.#shift === rest) throw twice(id, (words[at + 1] & this.#mask) - vocabSize);
      }
      words[at] = key;
      words[at + 1] = vocabSize + id;
      words[at + step - 1] |= rest << this.#shift;
    }
    return true;
  }
}

function twice(id: number, first: number): MinerError {
  return new MinerError('FGRAMS_CORRUPT', `f-gram ${id} is f-gram ${first} again`, 'Mine the f-grams again.');
}

/**
 * The table of a set.
 * @param offset bytes to leave free in front of it, a multiple of four
 * @throws {MinerError} FGRAMS_LIMIT; FGRAMS_CORRUPT: an f-gram occurs twice
 */
export function buildTable(ranked: RankedFgrams, offset: number): { readonly shape: TableShape; readonly bytes: Uint8Array<ArrayBuffer> } {
  const { size, vocabSize } = ranked;
  if (vocabSize > MAX_VOCABULARY) throw limit(`a vocabulary of ${vocabSize} tokens`, `${MAX_VOCABULARY} tokens`);
  const homes = Math.max(1, Math.ceil(size / LOAD));
  const length = offset + tableBytes(ranked, { homes, seed: 0 });
  if (length > MAX_BYTES) throw limit(`${size} f-grams take ${length} bytes`, `${MAX_BYTES} bytes of one array`);
  // Now and then the last slots are crowded beyond the table's end: another hash is another table.
  for (let seed = 0; ; seed++) {
    const bytes = new Uint8Array(length);
    const shape = { homes, seed };
    if (new SlotTable(new Int32Array(bytes.buffer, offset), ranked, shape).fill(ranked)) return { shape, bytes };
  }
}

function limit(what: string, most: string): MinerError {
  return new MinerError('FGRAMS_LIMIT', `${what}: more than the ${most} that an f-gram set can have`, 'Keep fewer f-grams.');
}
