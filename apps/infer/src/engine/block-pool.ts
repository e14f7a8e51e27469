/**
 * The blocks of the key-value cache: who uses them, and what those that nobody uses still hold. A text that begins as another did takes the blocks
 * of the beginning as they are. Owners do not share, so nobody learns from the time of an answer what others asked. [Kwon et al., 2023]
 */

/** A block that is full of what its name says. */
interface Named {
  readonly block: number;
  /** The chain from the owner's root to the end of this block. */
  readonly chain: string;
}

export class BlockPool {
  readonly size: number;
  /** Positions in a block. */
  readonly positions: number;
  /** Per block, how many sequences use it. */
  readonly #users: Uint16Array;
  /** Used by nobody, and holding nothing of use. */
  readonly #blank: number[];
  /** Used by nobody, but named; the one that was left longest ago comes first. */
  readonly #kept = new Set<number>();
  /** By the chain before it and its own tokens: the whole text up to its end, so names cannot be mistaken. */
  readonly #named = new Map<string, Named>();
  readonly #names: (string | undefined)[];
  #chains = 0;

  constructor(size: number, positions: number) {
    this.size = size;
    this.positions = positions;
    this.#users = new Uint16Array(size);
    this.#blank = Array.from({ length: size }, (_, i) => size - 1 - i);
    this.#names = Array.from({ length: size });
  }

  /** Blocks that can be taken. */
  get available(): number {
    return this.#blank.length + this.#kept.size;
  }

  /** Blocks that so many positions take. */
  blocksOf(positions: number): number {
    return Math.ceil(positions / this.positions);
  }

  /** Where an owner's texts begin. */
  rootOf(owner: string): string {
    return `of ${owner}`;
  }

  /** Takes the blocks that hold the beginning of a text. @param most tokens that may be shared @returns them, and the chain to their end */
  share(owner: string, tokens: readonly number[], most: number): { readonly blocks: number[]; readonly chain: string } {
    const blocks: number[] = [];
    let chain = this.rootOf(owner);
    for (let end = this.positions; end <= most; end += this.positions) {
      const found = this.#named.get(nameOf(chain, tokens.slice(end - this.positions, end)));
      if (found === undefined) break;
      this.#users[found.block] += 1;
      this.#kept.delete(found.block);
      blocks.push(found.block);
      chain = found.chain;
    }
    return { blocks, chain };
  }

  /** Takes a block; what it held for others to begin with is forgotten. @returns undefined if every block is in use */
  take(): number | undefined {
    let block = this.#blank.pop();
    if (block === undefined) {
      [block] = this.#kept;
      if (block === undefined) return undefined;
      this.#kept.delete(block);
      this.#named.delete(this.#names[block] ?? '');
      this.#names[block] = undefined;
    }
    this.#users[block] = 1;
    return block;
  }

  /** A block is full: it may be found from now on. @param chain to its beginning @param tokens its own @returns the chain to its end */
  settle(block: number, chain: string, tokens: readonly number[]): string {
    const name = nameOf(chain, tokens);
    const existing = this.#named.get(name);
    if (existing !== undefined) return existing.chain;
    this.#chains += 1;
    const named = { block, chain: String(this.#chains) };
    this.#named.set(name, named);
    this.#names[block] = name;
    return named.chain;
  }

  /** A sequence leaves its blocks. Ends of texts are forgotten before beginnings. */
  release(blocks: readonly number[]): void {
    for (const block of [...blocks].reverse()) {
      this.#users[block] -= 1;
      if (this.#users[block] > 0) continue;
      if (this.#names[block] === undefined) this.#blank.push(block);
      else this.#kept.add(block);
    }
  }
}

const nameOf = (chain: string, tokens: readonly number[]) => `${chain}: ${tokens.join()}`;
