/** Which tensors of a file make up which parameter, and where: a layout's table made concrete for one configuration. */
import type { Shape } from '@sconelm/tensor-webgpu';
import { completeBlock, type DecoderConfig } from '../config.js';
import { decoderShapes } from '../decoder.js';
import type { Layout } from './layout.js';

/** A tensor, and the columns of its parameter that it fills. */
export interface Part {
  readonly name: string;
  /** As it is stored. */
  readonly shape: Shape;
  /** First column, and how many. */
  readonly column: number;
  readonly columns: number;
}

export interface PlannedParameter {
  readonly name: string;
  /** [rows, columns]; a vector is one row. */
  readonly rows: number;
  readonly columns: number;
  readonly parts: readonly Part[];
  /** Whether the parts are stored [columns, rows]. */
  readonly transposed: boolean;
}

/** Every parameter of the decoder, in the order of its checkpoint. */
export function planTensors(config: DecoderConfig, layout: Layout): PlannedParameter[] {
  return Object.entries(decoderShapes(config)).map(([name, { shape }]) => {
    const [rows, columns] = shape.length === 1 ? [1, shape[0]] : shape;
    const [, layer = ''] = /^h\.(\d+)\./.exec(name) ?? [];
    const kind = name.replace(/^h\.\d+\./, 'h.{}.');
    const names = layout.tensors[kind];
    if (names === undefined) throw new Error(`unreachable: ${layout.modelType} has no ${kind}`);
    const widths = names.length === 1 ? [columns] : widthsOf(kind, config);
    const transposed = layout.transposed && name.startsWith('h.') && shape.length === 2;
    let column = 0;
    const parts = names.map((theirs, i) => {
      const width = widths[i];
      const stored = shape.length === 1 ? [width] : transposed ? [width, rows] : [rows, width];
      const part = { name: theirs.replace('{}', layer), shape: stored, column, columns: width };
      column += width;
      return part;
    });
    return { name, rows, columns, parts, transposed };
  });
}

/** Columns of the tensors that are joined: queries, keys, values; gate and up. */
function widthsOf(kind: string, config: DecoderConfig): number[] {
  const { heads, keyValueHeads, headDim, mlpWidth } = completeBlock(config);
  if (kind.startsWith('h.{}.attn.qkv.')) return [heads * headDim, keyValueHeads * headDim, keyValueHeads * headDim];
  return [mlpWidth, mlpWidth];
}

/** Writes a stored tensor into its parameter. @param into [rows · columns] */
export function placePart(from: Float32Array, into: Float32Array, { rows, columns, transposed }: PlannedParameter, part: Part): void {
  const target = { data: into, at: part.column, stride: columns };
  if (transposed) transpose({ data: from, at: 0, stride: rows }, target, rows, part.columns);
  else copyRows({ data: from, at: 0, stride: part.columns }, target, rows, part.columns);
}

/** The stored form of a part of a parameter. */
export function takePart(from: Float32Array, { rows, columns, transposed }: PlannedParameter, part: Part): Float32Array<ArrayBuffer> {
  const into = new Float32Array(rows * part.columns);
  const source = { data: from, at: part.column, stride: columns };
  if (transposed) transpose(source, { data: into, at: 0, stride: rows }, part.columns, rows);
  else copyRows(source, { data: into, at: 0, stride: part.columns }, rows, part.columns);
  return into;
}

/** A matrix within others' elements: the first one, and how far rows are apart. */
interface Window {
  readonly data: Float32Array;
  readonly at: number;
  readonly stride: number;
}

function copyRows(from: Window, into: Window, rows: number, columns: number): void {
  for (let row = 0; row < rows; row++) {
    const start = from.at + row * from.stride;
    into.data.set(from.data.subarray(start, start + columns), into.at + row * into.stride);
  }
}

/** into [rows, columns], from [columns, rows]. In squares, so that the rows of both stay in the cache. */
function transpose(from: Window, into: Window, rows: number, columns: number): void {
  const side = 32;
  for (let top = 0; top < rows; top += side) {
    for (let left = 0; left < columns; left += side) {
      const [bottom, right] = [Math.min(rows, top + side), Math.min(columns, left + side)];
      for (let row = top; row < bottom; row++) {
        const [source, target] = [from.at + row, into.at + row * into.stride];
        for (let column = left; column < right; column++) into.data[target + column] = from.data[source + column * from.stride];
      }
    }
  }
}
