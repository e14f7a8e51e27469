/** Rows by a WebAssembly module with SIMD, several times as fast as `float.ts` and `quantized.ts`, and equal to them bit for bit. */
import { kernelModule } from './kernel-module.js';
import type { RowBuffer } from './row-buffer.js';

/** What of WebAssembly is used: the types of ES and Node do not have it. */
interface WebAssemblyNamespace {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}

/** The dtypes that the module knows, by their names in it. */
export type KernelForm = 'F16' | 'Bf16' | 'Int8' | 'Int4';

/** What an instance exports; addresses are bytes from the start of its memory. */
type Exports = { readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number } } & {
  readonly [name in `encode${KernelForm}`]: (from: number, width: number, to: number) => number;
} & { readonly [name in `decode${KernelForm}`]: (from: number, rows: number, width: number, to: number) => void };

/** The module's memory: f32 from 0 on, encoded rows from `encodedAt` on; both with room for the kernel's last vector. */
interface Stage {
  readonly exports: Exports;
  readonly encodedAt: number;
  readonly floats: Float32Array;
  readonly bytes: Uint8Array;
}

const SLACK = 128;
const PAGE = 65_536;
/** Of either side; fits into a core's cache. */
const STAGE_BYTES = 2 ** 16;

let stage: Stage | undefined;

/** Makes room for a row of `rowBytes`, once decoded and once encoded. @throws whatever this machine has against the module */
function reserve(rowBytes: number): Stage {
  const encodedAt = Math.max(STAGE_BYTES, Math.ceil(rowBytes / SLACK) * SLACK) + SLACK;
  if (stage !== undefined && stage.encodedAt >= encodedAt) return stage;
  const exports = stage?.exports ?? instantiate();
  const missing = 2 * encodedAt - exports.memory.buffer.byteLength;
  if (missing > 0) exports.memory.grow(Math.ceil(missing / PAGE));
  const { buffer } = exports.memory;
  stage = { exports, encodedAt, floats: new Float32Array(buffer), bytes: new Uint8Array(buffer) };
  return stage;
}

function instantiate(): Exports {
  const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: WebAssemblyNamespace };
  const bytes = Uint8Array.from(atob(kernelModule), (character) => character.charCodeAt(0));
  return new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports as Exports;
}

/** Whether this machine runs the module: not without SIMD, nor on pages whose policy forbids WebAssembly. */
export const runsKernel: boolean = (() => {
  try {
    reserve(0);
    return true;
  } catch {
    return false;
  }
})();

/** Rows of [width] that pass through the module's memory. */
export class KernelRows implements RowBuffer {
  readonly bytes: Uint8Array;
  readonly #encode: `encode${KernelForm}`;
  readonly #decode: `decode${KernelForm}`;
  readonly #width: number;
  readonly #rowBytes: number;
  /** Of a row, encoded or decoded, whichever is longer. */
  readonly #largest: number;

  constructor(form: KernelForm, width: number, rows: number, rowBytes: number) {
    this.#encode = `encode${form}`;
    this.#decode = `decode${form}`;
    this.#width = width;
    this.#rowBytes = rowBytes;
    this.#largest = Math.max(width * 4, rowBytes);
    this.bytes = new Uint8Array(rows * rowBytes);
  }

  encode(row: number, source: Float32Array, from: number): number {
    const [width, rowBytes] = [this.#width, this.#rowBytes];
    const { exports, encodedAt, floats, bytes } = reserve(this.#largest);
    floats.set(source.subarray(from, from + width));
    const beyond = exports[this.#encode](0, width, encodedAt);
    if (beyond < 0) this.bytes.set(bytes.subarray(encodedAt, encodedAt + rowBytes), row * rowBytes);
    return beyond;
  }

  decode(row: number, count: number, into: Float32Array, to: number): void {
    const [width, rowBytes] = [this.#width, this.#rowBytes];
    const { exports, encodedAt, floats, bytes } = reserve(this.#largest);
    const step = Math.max(1, Math.floor(STAGE_BYTES / this.#largest));
    for (let done = 0; done < count; done += step) {
      const rows = Math.min(step, count - done);
      const first = row + done;
      bytes.set(this.bytes.subarray(first * rowBytes, (first + rows) * rowBytes), encodedAt);
      exports[this.#decode](encodedAt, rows, width, 0);
      into.set(floats.subarray(0, rows * width), to + done * width);
    }
  }
}
