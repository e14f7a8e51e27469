/** The trie of an f-gram set as an open-addressed table: (node, token) -> node. Nodes below the vocabulary's size are single tokens. */
const EMPTY = -1;

export class Transitions {
  readonly #mask: number;
  readonly #nodes: Int32Array;
  readonly #tokens: Int32Array;
  readonly #targets: Int32Array;

  constructor(capacity: number) {
    const size = 2 ** Math.ceil(Math.log2(Math.max(16, capacity * 2)));
    this.#mask = size - 1;
    this.#nodes = new Int32Array(size).fill(EMPTY);
    this.#tokens = new Int32Array(size);
    this.#targets = new Int32Array(size);
  }

  #slot(node: number, token: number): number {
    let hash = Math.imul(node, 0x9e3779b1) ^ Math.imul(token + 0x7f4a7c15, 0x85ebca6b);
    hash ^= hash >>> 15;
    let slot = hash & this.#mask;
    while (this.#nodes[slot] !== EMPTY && (this.#nodes[slot] !== node || this.#tokens[slot] !== token)) slot = (slot + 1) & this.#mask;
    return slot;
  }

  set(node: number, token: number, target: number): void {
    const slot = this.#slot(node, token);
    this.#nodes[slot] = node;
    this.#tokens[slot] = token;
    this.#targets[slot] = target;
  }

  /** The node that `token` leads to, −1 where none. */
  get(node: number, token: number): number {
    const slot = this.#slot(node, token);
    return this.#nodes[slot] === EMPTY ? -1 : this.#targets[slot];
  }
}
