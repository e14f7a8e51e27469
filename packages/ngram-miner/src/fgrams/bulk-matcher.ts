/** Longest matches of many tokens by the kernel, more than twice as fast as one token after the other, and equal. (kernel.as) */
import { type WasmMemory, WebAssembly } from '../web-assembly.js';
import type { FgramManifest } from './format.js';
import { kernelModule } from './kernel/kernel-module.js';
import { nodeBits } from './slot-table.js';

/** What an instance exports. */
interface Exports {
  configure(...settings: number[]): void;
  reset(): void;
  match(size: number, boundary: number): void;
}

/** As in kernel.as: tokens of a block, and where in the page they and what is found for them lie. */
const BLOCK = 512;
const TOKENS = 64;
const IDS = TOKENS + 4 * BLOCK;
const LENGTHS = IDS + 4 * BLOCK;

/** A token that is in no f-gram. */
const NONE = 2 ** 32 - 1;

export const kernelBinary = (): Uint8Array => Uint8Array.from(atob(kernelModule), (character) => character.charCodeAt(0));

let compiled: object | undefined;

export interface BulkMatcherOptions {
  readonly memory: WasmMemory;
  /** The address of a page of it that no other instance works in. */
  readonly page: number;
  /** Where in it the table lies. */
  readonly table: { readonly address: number; readonly bytes: number };
  readonly manifest: FgramManifest;
}

export class BulkMatcher {
  readonly #exports: Exports;
  readonly #vocabSize: number;
  readonly #tokens: Uint32Array;
  readonly #ids: Int32Array;
  readonly #lengths: Uint8Array;

  constructor({ memory, page, table, manifest }: BulkMatcherOptions) {
    compiled ??= new WebAssembly.Module(kernelBinary());
    this.#exports = new WebAssembly.Instance(compiled, { env: { memory } }).exports as Exports;
    const { homes, seed } = manifest.table;
    const { maxLength, vocabSize } = manifest;
    this.#exports.configure(page, table.address, table.bytes, homes, seed, nodeBits(manifest), maxLength, vocabSize);
    this.#vocabSize = vocabSize;
    this.#tokens = new Uint32Array(memory.buffer, page + TOKENS, BLOCK);
    this.#ids = new Int32Array(memory.buffer, page + IDS, BLOCK);
    this.#lengths = new Uint8Array(memory.buffer, page + LENGTHS, BLOCK);
  }

  /** Forgets what came before. */
  reset(): void {
    this.#exports.reset();
  }

  /** Goes on where the call before ended. @param tokens those outside the vocabulary are in no f-gram */
  push(tokens: ArrayLike<number>, boundary: number, ids?: Int32Array, lengths?: Uint8Array): void {
    const own = this.#tokens;
    for (let from = 0; from < tokens.length; from += BLOCK) {
      const size = Math.min(BLOCK, tokens.length - from);
      for (let i = 0; i < size; i++) {
        const token = tokens[from + i];
        own[i] = token >= 0 && token < this.#vocabSize ? token : NONE;
      }
      this.#exports.match(size, boundary);
      ids?.set(size === BLOCK ? this.#ids : this.#ids.subarray(0, size), from);
      lengths?.set(size === BLOCK ? this.#lengths : this.#lengths.subarray(0, size), from);
    }
  }
}
