/**
 * Variables: memory that outlives programs. A set lays its members out in one flat buffer, each at a multiple of 64 elements, so that an
 * optimiser updates all of them in one dispatch.
 */
import { BYTES_PER_ELEMENT, type DType, type TypedArray, toHalf } from '../dtype.js';
import { DisposedError, ShapeError, TensorError } from '../errors.js';
import { variableOp } from '../graph/primitives/leaf.js';
import { BLOCK } from '../ops/update.js';
import { formatShape, type Shape, sizeOf } from '../shape.js';
import { apply, type Tensor } from '../tensor.js';
import type { Device } from './device.js';

export interface VariableSpec {
  readonly shape: Shape;
  readonly dtype?: DType;
}

/** Where a variable's elements lie; what programs bind. */
export interface Storage {
  readonly buffer: GPUBuffer;
  readonly offsetBytes: number;
  /** Set when the memory is given back. */
  disposed?: boolean;
}

export class Variable {
  readonly name: string;
  readonly tensor: Tensor;
  readonly storage: Storage;
  readonly #device: Device;
  constructor(device: Device, name: string, spec: VariableSpec, storage: Storage) {
    this.#device = device;
    this.name = name;
    this.storage = storage;
    this.tensor = apply(variableOp, [], { slot: storage, name, shape: spec.shape, dtype: spec.dtype ?? 'f32' });
  }
  get shape(): Shape {
    return this.tensor.shape;
  }
  get dtype(): DType {
    return this.tensor.dtype;
  }
  /** @throws {ShapeError} if `data` has not as many elements as the variable */
  write(data: TypedArray): void {
    if (data.length !== this.tensor.size)
      throw new ShapeError(`variable '${this.name}': ${data.length} elements for ${formatShape(this.shape)}`);
    if (this.storage.disposed === true) throw new DisposedError(`variable '${this.name}'`);
    const stored = this.dtype === 'f16' ? toHalf(data) : data;
    this.#device.gpu.queue.writeBuffer(this.storage.buffer, this.storage.offsetBytes, stored);
  }
  /** @throws {DisposedError} */
  async read(): Promise<TypedArray> {
    if (this.storage.disposed === true) throw new DisposedError(`variable '${this.name}'`);
    return this.#device.read(this.storage.buffer, this.storage.offsetBytes, this.tensor);
  }
}

export class VariableSet implements Disposable {
  readonly names: readonly string[];
  /** First 32-bit word of each member in the flat buffer, in the order of names. */
  readonly offsets: readonly number[];
  /** The whole buffer as one vector; what lies between members is undefined. */
  readonly flat: Variable;
  readonly #variables: ReadonlyMap<string, Variable>;
  readonly #device: Device;
  readonly #buffer: GPUBuffer;

  constructor(device: Device, specs: Readonly<Record<string, VariableSpec>>, label = 'variables') {
    this.names = Object.keys(specs);
    let total = 0;
    this.offsets = this.names.map((name) => {
      const offset = total;
      const { shape, dtype = 'f32' } = specs[name];
      total += Math.ceil((sizeOf(shape) * BYTES_PER_ELEMENT[dtype]) / 4 / BLOCK) * BLOCK;
      return offset;
    });
    const buffer = device.createBuffer(label, total * 4);
    this.#device = device;
    this.#buffer = buffer;
    this.flat = new Variable(device, label, { shape: [total] }, { buffer, offsetBytes: 0 });
    this.#variables = new Map(
      this.names.map((name, i) => [name, new Variable(device, name, specs[name], { buffer, offsetBytes: this.offsets[i] * 4 })]),
    );
  }

  /** @throws {TensorError} naming the members there are */
  get(name: string): Variable {
    const variable = this.#variables.get(name);
    if (variable === undefined)
      throw new TensorError('VARIABLE_UNKNOWN', `no variable '${name}' in this set`, {
        remedy: `Use one of: ${this.names.slice(0, 12).join(', ')}${this.names.length > 12 ? ', ...' : ''}.`,
      });
    return variable;
  }

  *[Symbol.iterator](): Iterator<Variable> {
    yield* this.#variables.values();
  }

  /** Per block of 64 elements of the flat buffer: the valid elements in bits 0..7, the member's group in bits 8 and up. */
  blocks(groupOf: (name: string, shape: Shape) => number): Uint32Array<ArrayBuffer> {
    const blocks = new Uint32Array(this.flat.tensor.size / BLOCK);
    this.names.forEach((name, i) => {
      const { shape, tensor } = this.get(name);
      const group = groupOf(name, shape);
      const first = this.offsets[i] / BLOCK;
      for (let start = 0, block = first; start < tensor.size; start += BLOCK, block++)
        blocks[block] = Math.min(BLOCK, tensor.size - start) | (group << 8);
    });
    return blocks;
  }

  [Symbol.dispose](): void {
    for (const { storage } of [this.flat, ...this.#variables.values()]) storage.disposed = true;
    this.#device.destroyBuffer(this.#buffer);
  }
}
