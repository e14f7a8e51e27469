/** A table in host memory: what a variable is on a device, for tables that are too large for one. */
import type { Shape } from '@sconelm/tensor-webgpu';

export class HostTable {
  readonly name: string;
  readonly shape: readonly [rows: number, width: number];
  readonly #data: Float32Array<ArrayBuffer>;

  /** All zero. */
  constructor(name: string, shape: Shape) {
    const [rows, width] = shape;
    this.name = name;
    this.shape = [rows, width];
    this.#data = new Float32Array(rows * width);
  }

  get size(): number {
    return this.#data.length;
  }

  /** A view of row `id`. */
  row(id: number): Float32Array<ArrayBuffer> {
    const [, width] = this.shape;
    return this.#data.subarray(id * width, (id + 1) * width);
  }

  /** @param ids [n]; below zero, or beyond the table: zeros @returns [n, width] */
  gather(ids: ArrayLike<number>): Float32Array<ArrayBuffer> {
    const [rows, width] = this.shape;
    const found = new Float32Array(ids.length * width);
    for (let i = 0; i < ids.length; i++) if (ids[i] >= 0 && ids[i] < rows) found.set(this.row(ids[i]), i * width);
    return found;
  }

  /** The table itself, not a copy. */
  async read(): Promise<Float32Array<ArrayBuffer>> {
    return this.#data;
  }

  write(values: ArrayLike<number>): void {
    this.#data.set(values);
  }
}
