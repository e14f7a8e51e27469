/**
 * The f-gram set: n-grams by rank, and the longest one that ends at each token. The state is the vector of ids of the f-grams of every length
 * that end here; since the set is closed under prefixes, a token extends each by one transition. Runs in browsers. (SCONE, Alg. 1 and 3)
 */
import { MinerError } from '../errors.js';
import { Transitions } from './transitions.js';

export interface FgramManifest {
  readonly size: number;
  readonly maxLength: number;
  readonly vocabSize: number;
  /** sha256 of fgrams.bin. */
  readonly hash: string;
}

/** The file's bytes: size × u32 count, Σ lengths × u32 token, size × u8 length. @param fgrams in order of rank */
export function encodeFgrams(fgrams: readonly { readonly tokens: ArrayLike<number>; readonly count: number }[]): Uint8Array<ArrayBuffer> {
  const total = fgrams.reduce((sum, { tokens }) => sum + tokens.length, 0);
  const bytes = new Uint8Array(fgrams.length * 5 + total * 4);
  const view = new DataView(bytes.buffer);
  let at = fgrams.length * 4;
  fgrams.forEach(({ tokens, count }, i) => {
    view.setUint32(i * 4, count, true);
    for (let t = 0; t < tokens.length; t++, at += 4) view.setUint32(at, tokens[t], true);
  });
  fgrams.forEach(({ tokens }, i) => {
    bytes[at + i] = tokens.length;
  });
  return bytes;
}

export class FgramSet {
  readonly size: number;
  readonly maxLength: number;
  readonly vocabSize: number;
  readonly hash: string;
  readonly #counts: Uint32Array;
  readonly #tokens: Uint32Array;
  readonly #starts: Uint32Array;
  readonly #transitions: Transitions;

  private constructor(manifest: FgramManifest, counts: Uint32Array, tokens: Uint32Array, starts: Uint32Array) {
    this.size = manifest.size;
    this.maxLength = manifest.maxLength;
    this.vocabSize = manifest.vocabSize;
    this.hash = manifest.hash;
    this.#counts = counts;
    this.#tokens = tokens;
    this.#starts = starts;
    this.#transitions = new Transitions(this.size);
    // A prefix has a smaller id than its extensions, so it is there when they come.
    for (let id = 0; id < this.size; id++) {
      const own = this.tokensOf(id);
      let node = own[0];
      for (let t = 1; t < own.length - 1; t++) node = this.#transitions.get(node, own[t]);
      if (node < 0) throw new MinerError('FGRAMS_CORRUPT', `f-gram ${id} has a prefix that is not in the set`, 'Mine the f-grams again.');
      this.#transitions.set(node, own[own.length - 1], this.vocabSize + id);
    }
  }

  /** @throws {MinerError} FGRAMS_CORRUPT */
  static parse(bytes: Uint8Array, manifest: FgramManifest): FgramSet {
    const { size, maxLength, vocabSize } = manifest;
    const corrupt = (what: string) => new MinerError('FGRAMS_CORRUPT', `fgrams.bin: ${what}`, 'Mine the f-grams again.');
    if (bytes.length < size * 5) throw corrupt(`${bytes.length} bytes cannot hold ${size} f-grams`);
    const lengths = bytes.subarray(bytes.length - size);
    const starts = new Uint32Array(size + 1);
    for (let i = 0; i < size; i++) {
      if (lengths[i] < 2 || lengths[i] > maxLength) throw corrupt(`f-gram ${i} has ${lengths[i]} tokens, expected 2..${maxLength}`);
      starts[i + 1] = starts[i] + lengths[i];
    }
    if (bytes.length !== size * 5 + starts[size] * 4) throw corrupt(`${bytes.length} bytes, expected ${size * 5 + starts[size] * 4}`);
    const words = new Uint32Array(Uint8Array.from(bytes.subarray(0, bytes.length - size)).buffer);
    const tokens = words.subarray(size);
    for (let i = 0; i < tokens.length; i++) if (tokens[i] >= vocabSize) throw corrupt(`token ${tokens[i]} is not below ${vocabSize}`);
    return new FgramSet(manifest, words.subarray(0, size), tokens, starts);
  }

  tokensOf(id: number): Uint32Array {
    return this.#tokens.subarray(this.#starts[id], this.#starts[id + 1]);
  }
  lengthOf(id: number): number {
    return this.#starts[id + 1] - this.#starts[id];
  }
  countOf(id: number): number {
    return this.#counts[id];
  }
  /** −1 where it is not in the set. */
  idOf(tokens: ArrayLike<number>): number {
    let node = tokens[0];
    for (let t = 1; t < tokens.length && node >= 0; t++) node = this.#transitions.get(node, tokens[t]);
    return tokens.length < 2 || node < 0 ? -1 : node - this.vocabSize;
  }

  /**
   * The longest f-gram that ends at each token: `ids` −1 and `lengths` 1 where none.
   * @param boundary the token that opens a document; no match reaches back over it
   */
  match(
    tokens: ArrayLike<number>,
    { ids, lengths, boundary }: { readonly ids: Int32Array; readonly lengths: Uint8Array; readonly boundary: number },
  ): void {
    const matcher = this.matcher(boundary);
    for (let i = 0; i < tokens.length; i++) {
      ids[i] = matcher.push(tokens[i]);
      lengths[i] = matcher.length;
    }
  }

  /** @param boundary the token that opens a document */
  matcher(boundary: number): Matcher {
    return new Matcher(this.#transitions, { maxLength: this.maxLength, vocabSize: this.vocabSize, boundary });
  }
}

/** One token at a time. */
export class Matcher {
  /** Length of the current match; 1 where none. */
  length = 1;
  readonly #transitions: Transitions;
  readonly #limits: { readonly maxLength: number; readonly vocabSize: number; readonly boundary: number };
  /** Nodes of the suffixes of length 1, 2, .. that end at the last token; the first `#depth` are valid. */
  readonly #nodes: Int32Array;
  #depth = 0;

  constructor(transitions: Transitions, limits: { readonly maxLength: number; readonly vocabSize: number; readonly boundary: number }) {
    this.#transitions = transitions;
    this.#limits = limits;
    this.#nodes = new Int32Array(limits.maxLength);
  }

  /** @returns the id of the longest f-gram that ends with `token`, −1 where none */
  push(token: number): number {
    const { maxLength, vocabSize, boundary } = this.#limits;
    if (token === boundary) this.#depth = 0;
    // Suffixes of a member are members, so the valid lengths have no gaps.
    let depth = Math.min(this.#depth, maxLength - 1);
    for (let n = depth; n >= 1; n--) {
      const node = this.#transitions.get(this.#nodes[n - 1], token);
      this.#nodes[n] = node;
      if (node < 0) depth = n - 1;
    }
    this.#nodes[0] = token;
    this.#depth = depth + 1;
    this.length = this.#depth;
    return this.#depth > 1 ? this.#nodes[depth] - vocabSize : -1;
  }

  /** Forgets what came before. */
  reset(): void {
    this.#depth = 0;
    this.length = 1;
  }

  snapshot(): { readonly nodes: Int32Array; readonly depth: number } {
    return { nodes: this.#nodes.slice(), depth: this.#depth };
  }

  restore({ nodes, depth }: { readonly nodes: Int32Array; readonly depth: number }): void {
    this.#nodes.set(nodes);
    this.#depth = depth;
    this.length = Math.max(1, depth);
  }
}
