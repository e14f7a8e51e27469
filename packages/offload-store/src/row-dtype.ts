/** Row dtypes: how [width] f32 values become rowBytes bytes and back. Bytes are little-endian, whatever the machine. */
import { Bf16Rows, F16Rows, F32Rows } from './codecs/float.js';
import { type KernelForm, KernelRows, runsKernel } from './codecs/kernel.js';
import { Int4Rows, Int8Rows, int4RowBytes, int8RowBytes } from './codecs/quantized.js';
import type { RowBuffer } from './codecs/row-buffer.js';

export type { RowBuffer } from './codecs/row-buffer.js';

export const rowDtypes = ['f32', 'f16', 'bf16', 'int8', 'int4'] as const;
export type RowDtype = (typeof rowDtypes)[number];

interface Codec {
  readonly rowBytes: (width: number) => number;
  readonly Rows: new (width: number, rows: number) => RowBuffer;
  /** Absent where the kernel has nothing to do. */
  readonly kernel?: KernelForm;
}

const codecs: Readonly<Record<RowDtype, Codec>> = {
  f32: { rowBytes: (width) => width * 4, Rows: F32Rows },
  f16: { rowBytes: (width) => width * 2, Rows: F16Rows, kernel: 'F16' },
  bf16: { rowBytes: (width) => width * 2, Rows: Bf16Rows, kernel: 'Bf16' },
  int8: { rowBytes: int8RowBytes, Rows: Int8Rows, kernel: 'Int8' },
  int4: { rowBytes: int4RowBytes, Rows: Int4Rows, kernel: 'Int4' },
};

export function rowBytesOf(dtype: RowDtype, width: number): number {
  return codecs[dtype].rowBytes(width);
}

/** A new buffer of `rows` rows of [width] in `dtype`. */
export function allocateRows(dtype: RowDtype, width: number, rows: number): RowBuffer {
  expectLittleEndian();
  const { rowBytes, Rows, kernel } = codecs[dtype];
  return kernel !== undefined && runsKernel ? new KernelRows(kernel, width, rows, rowBytes(width)) : new Rows(width, rows);
}

function expectLittleEndian(): void {
  if (new Uint8Array(Uint16Array.of(1).buffer)[0] !== 1) throw new Error('stores are little-endian; this machine is not');
}
