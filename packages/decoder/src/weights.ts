/** Parameters on a device as inference keeps them: matrices in f32, or quantised as they are written; the rest in f32. */
import {
  type Device,
  type DType,
  dequantize,
  quantize,
  quantizedShapes,
  type Shape,
  type Tensor,
  type TypedArray,
  type Variable,
  type VariableSet,
} from '@sconelm/tensor-webgpu';
import type { ParameterShapes, Parameters } from './block.js';
import { DecoderError } from './errors.js';

/** f32, or matrices of int8 (a scale per output) or int4 (a scale per 32 inputs of an output). */
export const weightFormats = ['f32', 'int8', 'int4'] as const;
export type WeightFormat = (typeof weightFormats)[number];

/** What takes the values of a parameter: a variable, or what makes another form of them. */
export interface ParameterSink {
  readonly name: string;
  readonly shape: Shape;
  /** @param data as many as the shape has */
  write(data: Float32Array<ArrayBuffer>): void;
}

/** What gives the values of a parameter: a variable, or what is stored in another form. */
export interface ParameterSource {
  readonly name: string;
  readonly shape: Shape;
  /** f32 where it is not said. */
  readonly dtype?: DType;
  read(): Promise<TypedArray>;
}

/** How a parameter lies in memory. */
type Stored =
  | { readonly format: 'f32' }
  | { readonly format: 'int8' | 'int4'; readonly outputs: number; readonly inputs: number; readonly transposed: boolean };

/** Token table and head are [outputs, inputs], other matrices [inputs, outputs]; positions are looked up and added, never multiplied. */
function storedAs(name: string, shape: Shape, format: WeightFormat): Stored {
  if (format === 'f32' || shape.length !== 2 || name === 'pos.weight') return { format: 'f32' };
  const transposed = name !== 'tok.weight' && name !== 'head.weight';
  const [outputs, inputs] = transposed ? [shape[1], shape[0]] : [shape[0], shape[1]];
  return { format, outputs, inputs, transposed };
}

const sizeOf = (shape: Shape) => shape.reduce((product, extent) => product * extent, 1);

/** Of parameters on a device, without what lies between them. */
export function weightBytes(shapes: ParameterShapes, format: WeightFormat): number {
  return Object.entries(shapes).reduce((sum, [name, { shape }]) => {
    const stored = storedAs(name, shape, format);
    if (stored.format === 'f32') return sum + 4 * sizeOf(shape);
    const { words, scales } = quantizedShapes([stored.outputs, stored.inputs], stored.format);
    return sum + 4 * (sizeOf(words) + sizeOf(scales));
  }, 0);
}

/** The largest matrix that kernels bind as a whole: a quantised one. Matrices of f32 are bound in parts, so that none of them is the largest. */
export function largestBinding(shapes: ParameterShapes, format: WeightFormat): { readonly name: string; readonly bytes: number } {
  let largest = { name: '', bytes: 0 };
  for (const [name, { shape }] of Object.entries(shapes)) {
    const stored = storedAs(name, shape, format);
    if (stored.format === 'f32') continue;
    const bytes = 4 * sizeOf(quantizedShapes([stored.outputs, stored.inputs], stored.format).words);
    if (bytes > largest.bytes) largest = { name, bytes };
  }
  return largest;
}

/** The parameters of `shapes`, in their order; they have no values until they are written. */
export class Weights implements Disposable {
  readonly #device: Device;
  readonly #shapes: ParameterShapes;
  readonly #format: WeightFormat;
  readonly #set: VariableSet;

  /** @throws {DecoderError} MODEL_UNSUPPORTED: a quantised matrix is more than the adapter binds */
  constructor(device: Device, shapes: ParameterShapes, format: WeightFormat = 'f32') {
    const { maxBindingBytes } = device.info;
    const { name, bytes } = largestBinding(shapes, format);
    if (bytes > maxBindingBytes) {
      const others = weightFormats.filter((other) => largestBinding(shapes, other).bytes <= maxBindingBytes);
      throw new DecoderError(
        'MODEL_UNSUPPORTED',
        `${name} takes ${bytes} bytes in ${format}, and a quantised matrix is bound as a whole: this adapter binds ${maxBindingBytes}`,
        `Use weights of ${others.join(' or ')}.`,
      );
    }
    this.#device = device;
    this.#shapes = shapes;
    this.#format = format;
    const specs = Object.entries(shapes).flatMap(([name, { shape }]) => {
      const stored = storedAs(name, shape, format);
      if (stored.format === 'f32') return [[name, { shape }] as const];
      const { words, scales } = quantizedShapes([stored.outputs, stored.inputs], stored.format);
      return [[`${name} words`, { shape: words, dtype: 'u32' }] as const, [`${name} scales`, { shape: scales }] as const];
    });
    this.#set = device.variables(Object.fromEntries(specs), `${format} weights`);
  }

  /** By name; a quantised matrix is decoded where it is multiplied. */
  readonly parameters: Parameters = (name) => {
    const stored = this.#storedAs(name);
    if (stored.format === 'f32') return this.#tensor(name);
    const matrix = dequantize(
      this.#tensor(`${name} words`),
      this.#tensor(`${name} scales`),
      [stored.outputs, stored.inputs],
      stored.format,
    );
    return stored.transposed ? matrix.transpose() : matrix;
  };

  /** Reading a quantised matrix gives it decoded. */
  get(name: string): ParameterSink & ParameterSource {
    const stored = this.#storedAs(name);
    if (stored.format === 'f32') return this.#set.get(name);
    const write = (data: Float32Array<ArrayBuffer>) => {
      const { words, scales } = quantize(data, [stored.outputs, stored.inputs], stored.format, stored);
      this.#set.get(`${name} words`).write(words);
      this.#set.get(`${name} scales`).write(scales);
    };
    const read = async () => (await this.#device.run([this.parameters(name)]))[0];
    return { name, shape: this.#shapes[name].shape, write, read };
  }

  /** What lies in memory, to be stored and loaded as it is: words and scales in the place of quantised matrices. */
  get stored(): Iterable<Variable> {
    return this.#set;
  }

  *[Symbol.iterator](): Iterator<ParameterSink & ParameterSource> {
    for (const name of Object.keys(this.#shapes)) yield this.get(name);
  }

  #storedAs(name: string): Stored {
    return name in this.#shapes ? storedAs(name, this.#shapes[name].shape, this.#format) : { format: 'f32' };
  }

  #tensor(name: string): Tensor {
    return this.#set.get(name).tensor;
  }

  [Symbol.dispose](): void {
    this.#set[Symbol.dispose]();
  }
}
