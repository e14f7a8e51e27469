/**
 * The trie of an f-gram set as one open-addressed table, (node, token) -> node, in 6 or 8 bytes a slot at a load of .85. A slot holds the token,
 * the child and how far it lies from its home, but not the parent: for a given token, the home and two more bits determine the parent, because
 * p -> (p · odd + g(token)) mod 2^k is a bijection. So look-ups are exact. Slots are in order of their homes (Robin Hood), so a look-up of what
 * is not there ends early, and equal sets make equal tables. The table is the file: loading it is reading it.
 */
import { MinerError } from '../errors.js';
import type { RankedFgrams } from './ranked.js';

/** Everything a reader needs to know of a table but its slots. */
export interface TableShape {
  readonly slotBytes: 6 | 8;
  /** There are multiplier · 2^k / 64 homes, 16 <= multiplier <= 64. */
  readonly multiplier: number;
  /** Of the tokens' hash. */
  readonly seed: number;
}

/** Slots beyond the last home. A slot's distance to its home, plus one, is below it; so no look-up leaves the table. */
const TAIL = 64;
const LOAD = 0.85;
/** Typed arrays of Node 20 and of browsers end here. */
const MAX_BYTES = 2 ** 32;
const MAX_VOCABULARY = 2 ** 24;

/** k: 2^k homes, the most that there can be, hold every node at the load. */
function bitsOf(nodes: number): number {
  return Math.max(6, Math.ceil(Math.log2(nodes / LOAD)));
}

/** @param nodes vocabulary and f-grams together */
function slotsOf(nodes: number, { multiplier }: TableShape): number {
  return multiplier * 2 ** (bitsOf(nodes) - 6) + TAIL;
}

/** Bytes of the table. */
export function tableBytes(nodes: number, shape: TableShape): number {
  return slotsOf(nodes, shape) * shape.slotBytes;
}

export class SlotTable {
  /** Slots of 3 or 4 words: the token's low 16 bits; distance + 1 (6 bits), s mod 4, the child's bits 16-23; its low 16 bits; of wide slots also the token's bits 16-23 and the child's bits 24-31. */
  readonly #words: Uint16Array;
  readonly #isWide: boolean;
  readonly #stride: number;
  readonly #multiplier: number;
  readonly #mask: number;
  readonly #odd: number;
  readonly #seed: number;
  /** Of a step's look-ups: where each begins, and what to look for. */
  readonly #starts = new Uint32Array(8);
  readonly #marks = new Uint8Array(8);
  /** Of no meaning: keeps compilers from leaving out loads. */
  touched = 0;

  /** @param words of tableBytes(nodes, shape) bytes */
  constructor(words: Uint16Array, nodes: number, { slotBytes, multiplier, seed }: TableShape) {
    const bits = bitsOf(nodes);
    this.#words = words;
    this.#isWide = slotBytes === 8;
    this.#stride = slotBytes / 2;
    this.#multiplier = multiplier;
    this.#mask = bits === 32 ? -1 : 2 ** bits - 1;
    // The golden ratio of 2^k: consecutive nodes are spread evenly.
    this.#odd = (0x9e3779b1 >>> (32 - bits)) | 1;
    this.#seed = seed;
  }

  /** g(token): one hash for all look-ups of a token. */
  hash(token: number): number {
    let hash = Math.imul(token + this.#seed + 1, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    return hash ^ (hash >>> 16);
  }

  /** s, of which the home is the high part. */
  #scatter(parent: number, hash: number): number {
    return ((Math.imul(parent, this.#odd) + hash) & this.#mask) >>> 0;
  }

  #homeOf(s: number): number {
    return (Math.imul(s >>> 6, this.#multiplier) + (Math.imul(s & 63, this.#multiplier) >>> 6)) >>> 0;
  }

  /** The node that `token` leads to from `parent`; −1 where none. */
  find(parent: number, token: number): number {
    const s = this.#scatter(parent, this.hash(token));
    return this.#findFrom((this.#homeOf(s) * this.#stride) >>> 0, 4 | (s & 3), token);
  }

  /** @param at where its home's slot begins @param expected distance + 1 and s mod 4 as they would stand there */
  #findFrom(at: number, expected: number, token: number): number {
    const words = this.#words;
    const stride = this.#stride;
    for (; ; expected += 4, at += stride) {
      const word = words[at + 1];
      const found = word & 0xff;
      if (found === expected && words[at] === (token & 0xffff)) {
        const child = words[at + 2] | ((word & 0xff00) << 8);
        if (stride === 3) return child;
        if ((words[at + 3] & 0xff) === token >>> 16) return (child | ((words[at + 3] & 0xff00) << 16)) >>> 0;
      }
      if (found >>> 2 < expected >>> 2) return -1;
    }
  }

  /**
   * One token on: from the nodes of the suffixes of 1, 2, ... tokens that end before `token` to those that end with it.
   * @param nodes [K], replaced
   * @param limit how many of them may be extended
   * @returns how many there are now
   */
  advance(nodes: Uint32Array, limit: number, token: number): number {
    const words = this.#words;
    const stride = this.#stride;
    const multiplier = this.#multiplier;
    const mask = this.#mask;
    const odd = this.#odd;
    const starts = this.#starts;
    const marks = this.#marks;
    const hash = this.hash(token);
    // All first loads before the first comparison: a branch that depends on one would hold up the others, and memory is what takes the time.
    let touched = 0;
    for (let n = 0; n < limit; n++) {
      const s = (Math.imul(nodes[n], odd) + hash) & mask;
      const at = Math.imul(Math.imul(s >>> 6, multiplier) + (Math.imul(s & 63, multiplier) >>> 6), stride) >>> 0;
      starts[n] = at;
      marks[n] = 4 | (s & 3);
      touched ^= words[at + 1];
    }
    this.touched = touched;
    let node = token;
    let n = 0;
    for (; n < limit; n++) {
      const next = this.#findFrom(starts[n], marks[n], token);
      nodes[n] = node;
      if (next < 0) break;
      node = next;
    }
    nodes[n] = node;
    return n + 1;
  }

  /** Calls `visit` with each used slot's number and child, in order of slots. */
  eachSlot(visit: (slot: number, child: number) => void): void {
    const words = this.#words;
    for (let slot = 0, at = 0; at < words.length; slot++, at += this.#stride)
      if ((words[at + 1] & 0xff) !== 0) visit(slot, this.#childAt(at));
  }

  #childAt(at: number): number {
    const child = this.#words[at + 2] | ((this.#words[at + 1] & 0xff00) << 8);
    return this.#isWide ? (child | ((this.#words[at + 3] & 0xff00) << 16)) >>> 0 : child;
  }

  /** The token of a used slot. */
  tokenAt(slot: number): number {
    const at = slot * this.#stride;
    return this.#isWide ? this.#words[at] | ((this.#words[at + 3] & 0xff) << 16) : this.#words[at];
  }

  /** The parent of a used slot: of the up to four s of its home, the one with its two bits, led back through the bijection. */
  parentAt(slot: number): number {
    const word = this.#words[slot * this.#stride + 1];
    const home = slot + 1 - ((word & 0xff) >>> 2);
    let s = Math.floor((home * 64) / this.#multiplier);
    while (this.#homeOf(s) < home || (s & 3) !== (word & 3)) s++;
    return (Math.imul(s - this.hash(this.tokenAt(slot)), inverseOf(this.#odd)) & this.#mask) >>> 0;
  }

  /** Fills empty words. @returns whether every f-gram found a slot near enough to its home */
  fill({ size, vocabSize, parents, tokens }: RankedFgrams): boolean {
    const order = this.#idsByScatter({ size, parents, tokens });
    const words = this.#words;
    let next = 0;
    for (let i = 0; i < size; i++) {
      const id = order[i];
      const home = this.#homeOf(this.#scatter(parents[id], this.hash(tokens[id])));
      const slot = Math.max(home, next);
      const distance = slot - home;
      if (distance > TAIL - 2) return false;
      next = slot + 1;
      const at = slot * this.#stride;
      const child = vocabSize + id;
      words[at] = tokens[id];
      words[at + 1] = ((distance + 1) << 2) | (this.#scatter(parents[id], this.hash(tokens[id])) & 3) | ((child >>> 8) & 0xff00);
      words[at + 2] = child;
      if (this.#isWide) words[at + 3] = (tokens[id] >>> 16) | ((child >>> 16) & 0xff00);
    }
    return true;
  }

  /** Ids by s, then by id: by the high part of s first, so that the second part stays in the cache. */
  #idsByScatter({ size, parents, tokens }: Pick<RankedFgrams, 'size' | 'parents' | 'tokens'>): Uint32Array {
    const scatter = (id: number) => this.#scatter(parents[id], this.hash(tokens[id]));
    const bits = 32 - Math.clz32(this.#mask);
    const low = bits >>> 1;
    const starts = new Uint32Array(2 ** (bits - low) + 1);
    for (let id = 0; id < size; id++) starts[(scatter(id) >>> low) + 1]++;
    for (let i = 1; i < starts.length; i++) starts[i] += starts[i - 1];
    const ids = new Uint32Array(size);
    const ends = starts.slice();
    for (let id = 0; id < size; id++) ids[ends[scatter(id) >>> low]++] = id;
    // Within a part, keys of s's low bits and the place in the part: small numbers, which sort fast and keep ids in order.
    const lowMask = 2 ** low - 1;
    const keys = new Float64Array(starts.reduce((most, start, i) => (i === 0 ? 0 : Math.max(most, start - starts[i - 1])), 0));
    const part = new Uint32Array(keys.length);
    for (let i = 0; i + 1 < starts.length; i++) {
      const from = starts[i];
      const count = starts[i + 1] - from;
      for (let j = 0; j < count; j++) {
        part[j] = ids[from + j];
        keys[j] = (scatter(part[j]) & lowMask) * 2 ** 32 + j;
      }
      const sorted = keys.subarray(0, count).sort();
      for (let j = 0; j < count; j++) ids[from + j] = part[sorted[j] % 2 ** 32];
    }
    return ids;
  }
}

/** x with odd · x = 1 mod 2^32, by Newton's iteration; each doubles the number of right bits. */
function inverseOf(odd: number): number {
  let inverse = odd;
  for (let i = 0; i < 4; i++) inverse = Math.imul(inverse, 2 - Math.imul(odd, inverse));
  return inverse;
}

/**
 * The table of a set.
 * @param offset bytes to leave free in front of it, an even number
 * @throws {MinerError} FGRAMS_LIMIT
 */
export function buildTable(ranked: RankedFgrams, offset: number): { readonly shape: TableShape; readonly bytes: Uint8Array<ArrayBuffer> } {
  const { size, vocabSize } = ranked;
  const nodes = vocabSize + size;
  if (vocabSize > MAX_VOCABULARY) throw limit(`a vocabulary of ${vocabSize} tokens`, `${MAX_VOCABULARY} tokens`);
  const slotBytes = nodes <= 2 ** 24 && vocabSize <= 2 ** 16 ? 6 : 8;
  // Two bits tell the s of a home apart, so at most four may share one: there are no fewer than 16 / 64 · 2^k homes.
  const wanted = Math.max(16, Math.ceil((size / LOAD / 2 ** bitsOf(nodes)) * 64));
  for (let seed = 0; seed < 64; seed++) {
    const shape: TableShape = { slotBytes, multiplier: Math.min(64, wanted + seed), seed };
    const length = offset + tableBytes(nodes, shape);
    if (length > MAX_BYTES) throw limit(`${size} f-grams take ${length} bytes`, `${MAX_BYTES} bytes of one array`);
    const bytes = new Uint8Array(length);
    if (new SlotTable(new Uint16Array(bytes.buffer, offset), nodes, shape).fill(ranked)) return { shape, bytes };
  }
  throw new MinerError('FGRAMS_CORRUPT', 'an f-gram occurs many times', 'Mine the f-grams again.');
}

function limit(what: string, most: string): MinerError {
  return new MinerError('FGRAMS_LIMIT', `${what}: more than the ${most} that an f-gram set can have`, 'Keep fewer f-grams.');
}
