/**
 * Tokens by position, from shards that need not fit in memory: what training reads its windows from. Reads are synchronous, because the page cache
 * answers in a microsecond; the first read of a block checks all of it.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { asArtifactError } from '@sconelm/artifact';
import { type TokenCorpus, type TokenShard, tokenBytes, tokenCountOf } from './corpus.js';
import { expectBlock } from './read-tokens.js';

/** Tokens by position. */
export interface TokenSource {
  readonly length: number;
  /** @param into filled with the tokens from position `from` on */
  read(from: number, into: Int32Array): void;
}

interface OpenShard {
  readonly shard: TokenShard;
  readonly file: number;
  /** Position of its first token in the corpus. */
  readonly start: number;
  /** Blocks that were checked. */
  readonly checked: Uint8Array;
}

export class TokenReader implements TokenSource, Disposable {
  readonly length: number;
  readonly #corpus: TokenCorpus;
  readonly #shards: OpenShard[] = [];
  #buffer = Buffer.alloc(0);

  /** @throws {ArtifactError} missing, or an error of the disk */
  constructor(corpus: TokenCorpus) {
    this.#corpus = corpus;
    this.length = tokenCountOf(corpus);
    let start = 0;
    for (const shard of corpus.shards) {
      const blocks = Math.ceil((shard.tokens * tokenBytes(corpus.dtype)) / corpus.blockBytes);
      this.#shards.push({ shard, start, checked: new Uint8Array(blocks), file: this.#guarded(shard, () => openSync(shard.path, 'r')) });
      start += shard.tokens;
    }
  }

  /** @throws {MinerError} DATASET_CORRUPT, naming shard and block; {ArtifactError} an error of the disk; RangeError beyond the end */
  read(from: number, into: Int32Array): void {
    if (from < 0 || from + into.length > this.length) throw new RangeError(`tokens ${from} to ${from + into.length} of ${this.length}`);
    for (const open of this.#shards) {
      const first = Math.max(from, open.start);
      const last = Math.min(from + into.length, open.start + open.shard.tokens);
      if (first < last) this.#readShard(open, first - open.start, into.subarray(first - from, last - from));
    }
  }

  #readShard(open: OpenShard, from: number, into: Int32Array): void {
    const { dtype, blockBytes } = this.#corpus;
    const width = tokenBytes(dtype);
    const [start, end] = [from * width, (from + into.length) * width];
    for (let block = Math.floor(start / blockBytes); block * blockBytes < end; block++) this.#check(open, block);
    const bytes = this.#bytes(open, start, end - start);
    for (let i = 0; i < into.length; i++) into[i] = dtype === 'u16' ? bytes.readUInt16LE(i * width) : bytes.readUInt32LE(i * width);
  }

  #check(open: OpenShard, block: number): void {
    const { shard, checked } = open;
    if (checked[block] === 1) return;
    const { dtype, blockBytes } = this.#corpus;
    const start = block * blockBytes;
    const length = Math.min(blockBytes, shard.tokens * tokenBytes(dtype) - start);
    expectBlock(shard, block, start, this.#bytes(open, start, length), length);
    checked[block] = 1;
  }

  /** Up to `length` bytes, until the next call; fewer where the file ends. */
  #bytes({ shard, file }: OpenShard, position: number, length: number): Buffer {
    if (this.#buffer.length < length) this.#buffer = Buffer.alloc(length);
    let filled = 0;
    while (filled < length) {
      const count = this.#guarded(shard, () => readSync(file, this.#buffer, filled, length - filled, position + filled));
      if (count === 0) break;
      filled += count;
    }
    return this.#buffer.subarray(0, filled);
  }

  #guarded<Value>({ path }: TokenShard, work: () => Value): Value {
    try {
      return work();
    } catch (error) {
      this[Symbol.dispose]();
      throw asArtifactError(error, path);
    }
  }

  [Symbol.dispose](): void {
    for (const { file } of this.#shards.splice(0)) closeSync(file);
  }
}
