/** Row dtypes: how [width] f32 values become rowBytes bytes and back. Bytes are little-endian, whatever the machine. */
import { Bf16Rows, F16Rows, F32Rows } from './codecs/float.js';
import { Int4Rows, Int8Rows, int4RowBytes, int8RowBytes } from './codecs/quantized.js';
import { Int4KernelRows, Int8KernelRows, runsKernel } from './codecs/quantized-kernel.js';
import type { RowBuffer } from './codecs/row-buffer.js';

export type { RowBuffer } from './codecs/row-buffer.js';

export const rowDtypes = ['f32', 'f16', 'bf16', 'int8', 'int4'] as const;
export type RowDtype = (typeof rowDtypes)[number];

interface Codec {
  readonly rowBytes: (width: number) => number;
  readonly Rows: new (width: number, rows: number) => RowBuffer;
}

const codecs: Readonly<Record<RowDtype, Codec>> = {
  f32: { rowBytes: (width) => width * 4, Rows: F32Rows },
  f16: { rowBytes: (width) => width * 2, Rows: F16Rows },
  bf16: { rowBytes: (width) => width * 2, Rows: Bf16Rows },
  int8: { rowBytes: int8RowBytes, Rows: runsKernel ? Int8KernelRows : Int8Rows },
  int4: { rowBytes: int4RowBytes, Rows: runsKernel ? Int4KernelRows : Int4Rows },
};

export function rowBytesOf(dtype: RowDtype, width: number): number {
  return codecs[dtype].rowBytes(width);
}

/** A new buffer of `rows` rows of [width] in `dtype`. */
export function allocateRows(dtype: RowDtype, width: number, rows: number): RowBuffer {
  expectLittleEndian();
  return new codecs[dtype].Rows(width, rows);
}

function expectLittleEndian(): void {
  if (new Uint8Array(Uint16Array.of(1).buffer)[0] !== 1) throw new Error('stores are little-endian; this machine is not');
}
