/** A set's file in memory that threads share: that of WebAssembly where this machine can run the kernel, with pages of scratch space behind the file. */
import { type WasmMemory, WebAssembly } from '../web-assembly.js';
import { kernelBinary } from './bulk-matcher.js';

const PAGE = 65_536;
const MAX_PAGES = 65_536;

/** Pages that the kernel works in, one for each instance. */
export class ScratchPages {
  readonly memory: WasmMemory;
  readonly #free: number[];

  /** @param free addresses of pages that are there already */
  constructor(memory: WasmMemory, free: readonly number[] = []) {
    this.memory = memory;
    this.#free = [...free];
  }

  /** @returns the address of a page that nobody else uses */
  take(): number {
    return this.#free.pop() ?? this.memory.grow(1) * PAGE;
  }

  giveBack(page: number): void {
    this.#free.push(page);
  }
}

export function allocateShared(size: number): { readonly bytes: Uint8Array; readonly pages: ScratchPages | undefined } {
  if (!WebAssembly?.validate(kernelBinary())) return { bytes: new Uint8Array(new SharedArrayBuffer(size)), pages: undefined };
  const memory = new WebAssembly.Memory({ initial: Math.ceil(size / PAGE), maximum: MAX_PAGES, shared: true });
  return { bytes: new Uint8Array(memory.buffer, 0, size), pages: new ScratchPages(memory) };
}
