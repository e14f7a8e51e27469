/**
 * One op's kernels alone, with adapter traits of the caller's choice: how tests reach the forms that the adapter at hand would not choose.
 * Outputs and scratch start as NaN patterns, so that a kernel which reads what nobody wrote is found out.
 */
import type { Device, Pipeline } from '../device/device.js';
import { type TypedArray, typedArray } from '../dtype.js';
import type { Attributes, Op, TensorType } from '../graph/op.js';
import type { AdapterTraits, LoweringContext, ValueRef } from '../kernels/kernel.js';
import { sizeOf } from '../shape.js';

export interface RunOpOptions {
  readonly inputs: readonly { readonly data: TypedArray; readonly type: TensorType }[];
  readonly attributes: Attributes;
  readonly adapter?: Partial<AdapterTraits>;
  /** For ops of kind `update`: how many outputs are the first inputs themselves. */
  readonly inPlace?: number;
}

interface Dispatch {
  readonly pipeline: Pipeline;
  readonly group: GPUBindGroup;
  readonly workgroups: readonly [number, number, number];
}

const UNWRITTEN = 0x7fc0_1234;

export class OpRun implements Disposable {
  readonly outputs: readonly TensorType[];
  readonly #device: Device;
  readonly #buffers: GPUBuffer[] = [];
  readonly #dispatches: Dispatch[] = [];
  readonly #results: GPUBuffer[];

  /** @throws {Error} if the op has no kernels */
  constructor(device: Device, op: Op, { inputs, attributes, adapter, inPlace = 0 }: RunOpOptions) {
    this.#device = device;
    const types = inputs.map(({ type }) => type);
    this.outputs = op.infer(types, attributes);
    const inputBuffers = inputs.map(({ data }) => this.#buffer(data.length, data));
    this.#results = this.outputs.map(({ shape }, i) => (i < inPlace ? inputBuffers[i] : this.#buffer(sizeOf(shape))));
    const scratch: GPUBuffer[] = [];
    const resolve = ({ source, index }: ValueRef) =>
      (source === 'input' ? inputBuffers : source === 'output' ? this.#results : scratch)[index];
    const context: LoweringContext = {
      attributes,
      inputs: types,
      outputs: this.outputs,
      adapter: { ...device.traits, ...adapter },
      batchInvariant: false,
      choose: (_, forms) => forms[0],
      input: (index) => ({ source: 'input', index }),
      output: (index) => ({ source: 'output', index }),
      scratch: (elements) => {
        scratch.push(this.#buffer(elements));
        return { source: 'scratch', index: scratch.length - 1 };
      },
      call: (kernel, { parameters, bindings, uniforms, workgroups }) => {
        const names = Object.keys(kernel.bindings);
        const bound = names.map((name) => resolve(bindings[name]));
        if (new Set(bound).size < bound.length) throw new Error(`${op.name}: ${kernel.name} binds a value twice`);
        const pipeline = device.pipeline(kernel, parameters, { writable: new Set(names), halves: new Set() });
        const entries = bound.map((buffer, binding) => ({ binding, resource: { buffer } }));
        const numbers = Object.entries(kernel.uniforms);
        if (numbers.length > 0) {
          const view = new DataView(new ArrayBuffer(Math.ceil(numbers.length / 4) * 16));
          numbers.forEach(([name, type], i) => {
            if (type === 'f32') view.setFloat32(i * 4, uniforms[name], true);
            else view.setInt32(i * 4, uniforms[name], true);
          });
          const buffer = device.createUniforms(kernel.name, new Uint32Array(view.buffer));
          this.#buffers.push(buffer);
          entries.push({ binding: entries.length, resource: { buffer } });
        }
        const group = device.gpu.createBindGroup({ layout: pipeline.layout, entries });
        this.#dispatches.push({ pipeline, group, workgroups: typeof workgroups === 'number' ? [workgroups, 1, 1] : workgroups });
      },
    };
    if (op.lower === undefined) throw new Error(`${op.name} has no kernels`);
    op.lower(context);
  }

  get dispatches(): number {
    return this.#dispatches.length;
  }

  #buffer(words: number, data: TypedArray = new Uint32Array(Math.max(words, 1)).fill(UNWRITTEN)): GPUBuffer {
    const buffer = this.#device.createBuffer('value', Math.max(words, 1) * 4);
    if (data.length > 0) this.#device.gpu.queue.writeBuffer(buffer, 0, data);
    this.#buffers.push(buffer);
    return buffer;
  }

  /** Submits the kernels `times` over, in one pass. */
  submit(times = 1): void {
    const encoder = this.#device.gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (let i = 0; i < times; i++) {
      for (const { pipeline, group, workgroups } of this.#dispatches) {
        pass.setPipeline(pipeline.pipeline);
        pass.setBindGroup(0, group);
        pass.dispatchWorkgroups(...workgroups);
      }
    }
    pass.end();
    this.#device.gpu.queue.submit([encoder.finish()]);
  }

  read(): Promise<TypedArray[]> {
    return Promise.all(
      this.outputs.map((type, i) => (sizeOf(type.shape) === 0 ? typedArray(type.dtype, 0) : this.#device.read(this.#results[i], 0, type))),
    );
  }

  [Symbol.dispose](): void {
    for (const buffer of this.#buffers) buffer.destroy();
  }
}

/** The outputs of one run of `op`'s kernels. */
export async function runOp<A extends Attributes>(
  device: Device,
  op: Op<A>,
  options: RunOpOptions & { readonly attributes: A },
): Promise<TypedArray[]> {
  using run = new OpRun(device, op as unknown as Op, options);
  run.submit();
  return await run.read();
}
