/** The miner's inner loops behind one interface: WebAssembly, or plain TypeScript with the same results. Both work on memory that all workers share. */

import { type WasmMemory, WebAssembly } from '../../web-assembly.js';
import { kernelModule } from './kernel-module.js';
import { createTypescriptKernel } from './typescript-kernel.js';

export type KernelName = 'wasm' | 'typescript';

/** Addresses are bytes from the start of the shared memory. */
export interface KernelSettings {
  /** Bits of a symbol. */
  readonly bits: number;
  /** Symbols of a key: K − 1. */
  readonly length: number;
  readonly keyBytes: 8 | 16;
  readonly minCount: number;
  /** Bytes of a token in the shards. */
  readonly tokenBytes: 2 | 4;
  readonly vocabSize: number;
  readonly boundary: number;
  /** u32 by token: its symbol, or 2^bits − 1 where it is too rare. */
  readonly symbols: number;
  /** u32 by symbol: its token. */
  readonly tokens: number;
  readonly scratch: number;
  readonly scratchBytes: number;
  /** For `DIGIT_BYTES`. */
  readonly digits: number;
  readonly output: number;
  readonly outputEnd: number;
  /** Bytes of a token in the output. */
  readonly outputTokenBytes: 2 | 4;
}

export const DIGIT_BYTES = 3 * 2048 * 4;

/** A run of tokens in memory; `from..to` are worked on, those around them only looked at. */
export interface ChunkView {
  readonly address: number;
  readonly from: number;
  readonly to: number;
  /** How many tokens are there. */
  readonly size: number;
}

export interface Kernel {
  configure(settings: KernelSettings): void;
  /**
   * Counts the tokens that follow a prefix (`prefixTokens` u32 at `prefix`) into `counts` (f64 by token); with a prefix, tokens that open documents are left out.
   * @returns the index of a token outside the vocabulary, −1 where there is none
   */
  histogram(chunk: ChunkView, prefix: number, prefixTokens: number, counts: number): number;
  /** Writes the keys of the tokens that follow the prefix and have symbols in low..high to the next places (u32 by symbol) of their symbols; the place of `high` is written over. */
  scatter(chunk: ChunkView, prefix: number, prefixTokens: number, low: number, high: number, places: number): void;
  /** Writes the records of the n-grams of a symbol's bucket, whose keys are at from..to: in lexicographic order, an n-gram before those that extend it. */
  count(symbol: number, from: number, to: number, prefixTokens: number): void;
  /** Bytes of records that are in the output. */
  outputSize(): number;
  emptyOutput(): void;
}

/** What an instance of the module exports. */
interface Exports {
  configure(...settings: number[]): void;
  histogram(chunk: number, from: number, to: number, prefix: number, prefixTokens: number, counts: number): number;
  scatter64(...chunkPrefixAndSymbols: number[]): void;
  scatter128(...chunkPrefixAndSymbols: number[]): void;
  count64(symbol: number, from: number, to: number, prefixTokens: number): void;
  count128(symbol: number, from: number, to: number, prefixTokens: number): void;
  outputSize(): number;
  emptyOutput(): void;
}

/** @param flush is called when the output is full, and must have taken it all */
export function createKernel(memory: WasmMemory | SharedArrayBuffer, flush: () => void): Kernel {
  if (memory instanceof SharedArrayBuffer) return createTypescriptKernel(memory, flush);
  const module = new WebAssembly.Module(Buffer.from(kernelModule, 'base64'));
  const exports = new WebAssembly.Instance(module, { env: { memory, flush } }).exports as Exports;
  let isWide = false;
  return {
    configure(s) {
      isWide = s.keyBytes === 16;
      exports.configure(
        s.bits,
        s.length,
        s.minCount,
        s.tokenBytes,
        s.vocabSize,
        s.boundary,
        s.symbols,
        s.tokens,
        s.scratch,
        s.scratchBytes,
        s.digits,
        s.output,
        s.outputEnd,
        s.outputTokenBytes,
        s.keyBytes,
      );
    },
    histogram: ({ address, from, to }, prefix, prefixTokens, counts) => exports.histogram(address, from, to, prefix, prefixTokens, counts),
    scatter({ address, from, to, size }, ...rest) {
      (isWide ? exports.scatter128 : exports.scatter64)(address, from, to, size, ...rest);
    },
    count(symbol, from, to, prefixTokens) {
      (isWide ? exports.count128 : exports.count64)(symbol, from, to, prefixTokens);
    },
    outputSize: () => exports.outputSize(),
    emptyOutput: () => exports.emptyOutput(),
  };
}

/** The memory that the kernel of this name works on. */
export function createMemory(kernel: KernelName, bytes: number): WasmMemory | SharedArrayBuffer {
  if (kernel === 'typescript') return new SharedArrayBuffer(bytes);
  // Pages are reserved here and taken from the system when they are first written to.
  const pages = Math.ceil(bytes / 65_536);
  return new WebAssembly.Memory({ initial: pages, maximum: 65_536, shared: true });
}

/** Whether this machine can run the module. */
export const hasWasmThreads = (): boolean => WebAssembly.validate(Buffer.from(kernelModule, 'base64'));
