/**
 * A compiled program: a flat list of (pipeline, bind group, workgroups) over planned memory. A call writes the inputs, encodes one pass and
 * submits it once; nothing is created while replaying.
 */
import { align } from '../device/alignment.js';
import type { Device } from '../device/device.js';
import type { Storage } from '../device/variables.js';
import { BYTES_PER_ELEMENT, type DType, dtypeOf, type TypedArray } from '../dtype.js';
import { DisposedError, DTypeError, GraphError, ShapeError, StaleResultError } from '../errors.js';
import type { Node, TensorType } from '../graph/op.js';
import type { BindingForms, Kernel } from '../kernels/kernel.js';
import { type Profile, profileDispatches } from '../profile/profile.js';
import { formatShape, type Shape, sameShape, sizeOf } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { NumberChecks } from './check-numbers.js';
import type { Dispatch } from './dispatch.js';
import { lower } from './lower.js';
import { byteLength, type Lowered, type Step, type UpdateTarget, type Value } from './lowered.js';
import { planMemory } from './plan.js';
import { simplify } from './simplify.js';

/** A value on the host, row-major. */
export interface HostTensor {
  readonly data: TypedArray;
  readonly shape: Shape;
}

/** @throws {ShapeError} if `data` does not fill `shape` */
export function hostTensor(data: TypedArray, shape: Shape = [data.length]): HostTensor {
  if (data.length !== sizeOf(shape)) throw new ShapeError(`hostTensor: ${data.length} elements for ${formatShape(shape)}`);
  return { data, shape };
}

export interface ProgramReport {
  /** Bytes of the arena that holds all intermediate values. */
  readonly arenaBytes: number;
  /** Bytes that these values would take without sharing memory. */
  readonly unsharedBytes: number;
  /** Floating-point operations of one call, as far as ops count them. */
  readonly flops: number;
  readonly dispatches: number;
  readonly pipelines: number;
  /** Dispatches by op, most frequent first. */
  readonly byOp: readonly (readonly [op: string, count: number])[];
}

/** A result of a program: readable until the program's next call. */
export class Result implements TensorType {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly #label: string;
  readonly #read: () => Promise<TypedArray>;
  readonly #isCurrent: () => boolean;
  constructor(label: string, type: TensorType, read: () => Promise<TypedArray>, isCurrent: () => boolean) {
    this.#label = label;
    this.shape = type.shape;
    this.dtype = type.dtype;
    this.#read = read;
    this.#isCurrent = isCurrent;
  }
  /** A copy on the host, of the result as it is when this is called. @throws {StaleResultError} after the program's next call */
  data(): Promise<TypedArray> {
    if (!this.#isCurrent()) return Promise.reject(new StaleResultError(this.#label));
    return this.#read();
  }
}

/** What a traced function describes. */
export interface ProgramGraph {
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly outputs: Readonly<Record<string, Tensor>>;
  readonly updates: readonly UpdateTarget[];
}

export interface CompileOptions {
  /** A row's result does not depend, bit for bit, on how many rows it is computed with: for inference. */
  readonly batchInvariant?: boolean;
  /** False: every op a kernel of its own, to see whether fusing is at fault. */
  readonly fuse?: boolean;
  /** Every call checks what each op computes; reading a result throws {@link NumberError} with the first op whose output is no finite number. */
  readonly checkNumbers?: boolean;
}

/** From a graph to kernel calls, with the forms that are known to be fast, or those of the caller. */
export function lowerGraph(
  device: Device,
  { outputs, updates }: ProgramGraph,
  { batchInvariant = false, fuse = true }: CompileOptions = {},
  choose: (key: string, forms: readonly string[]) => string = (key, forms) => device.tuning.choose(key, forms),
): Lowered {
  const names = Object.keys(outputs);
  const simplified = simplify([...Object.values(outputs), ...updates.map(({ value }) => value)], { fuse });
  const targets = updates.map(({ leaf }, i) => ({ leaf, value: simplified[names.length + i] }));
  return lower(simplified.slice(0, names.length), targets, { adapter: device.traits, batchInvariant, fuse, choose });
}

/** The pipeline of a step. */
export function pipelineRequest({ kernel, parameters, bindings }: Step): {
  readonly kernel: Kernel<object>;
  readonly parameters: object;
  readonly forms: BindingForms;
} {
  const writable = new Set(bindings.filter(({ value, writes }) => writes || value.leaf === undefined).map(({ name }) => name));
  const halves = new Set(bindings.filter(({ value }) => value.dtype === 'f16').map(({ name }) => name));
  return { kernel, parameters, forms: { writable, halves } };
}

interface VariableLeaf {
  readonly name: string;
  readonly slot: Storage;
}

/** A program for one signature of input shapes. */
export class Executable implements Disposable {
  readonly report: ProgramReport;
  readonly #device: Device;
  readonly #dispatches: readonly Dispatch[];
  readonly #owned: GPUBuffer[] = [];
  readonly #variables: readonly VariableLeaf[];
  readonly #checks: NumberChecks | undefined;
  readonly #inputs: ReadonlyMap<string, { readonly buffer: GPUBuffer; readonly offset: number; readonly type: TensorType }>;
  readonly #outputs: readonly { readonly name: string; readonly type: TensorType; readonly buffer: GPUBuffer; readonly offset: number }[];
  #calls = 0;
  #disposed = false;

  constructor(device: Device, { inputs, outputs }: ProgramGraph, lowered: Lowered, { checkNumbers = false }: CompileOptions = {}) {
    this.#device = device;
    const names = Object.keys(outputs);
    const plan = planMemory(lowered.steps, lowered.results);

    const arena = this.#buffer('arena', plan.arenaBytes);
    const inputNodes = new Map(Object.entries(inputs).map(([name, { node }]) => [node, name]));
    this.#inputs = this.#layOutInputs(inputs);
    const literals = this.#uploadLiterals(lowered.values);
    const storageOf = (value: Value): Storage => {
      const offset = plan.offsets.get(value);
      if (offset !== undefined) return { buffer: arena, offsetBytes: offset };
      const leaf = value.leaf;
      if (leaf?.op.name === 'variable') return leaf.attributes.slot as Storage;
      const literal = leaf === undefined ? undefined : literals.get(leaf);
      if (literal !== undefined) return literal;
      const input = leaf === undefined ? undefined : this.#inputs.get(inputNodes.get(leaf) ?? '');
      if (input === undefined)
        throw new GraphError(`${value.label} is no input of this program`, 'Use only the inputs that the traced function is given.');
      return { buffer: input.buffer, offsetBytes: input.offset };
    };
    this.#dispatches = this.#buildDispatches(lowered, storageOf);
    this.#variables = lowered.values.flatMap(({ leaf }) =>
      leaf?.op.name === 'variable' ? [leaf.attributes as unknown as VariableLeaf] : [],
    );
    this.#checks = checkNumbers ? new NumberChecks(device, lowered.steps, storageOf) : undefined;
    this.#outputs = names.map((name, i) => {
      const { buffer, offsetBytes } = storageOf(lowered.results[i]);
      return { name, type: outputs[name], buffer, offset: offsetBytes };
    });
    const counts = new Map<string, number>();
    for (const { label } of this.#dispatches) counts.set(label, (counts.get(label) ?? 0) + 1);
    this.report = {
      arenaBytes: plan.arenaBytes,
      unsharedBytes: plan.unsharedBytes,
      flops: this.#dispatches.reduce((sum, { flops }) => sum + flops, 0),
      dispatches: this.#dispatches.length,
      pipelines: new Set(this.#dispatches.map(({ pipeline }) => pipeline)).size,
      byOp: [...counts].sort(([, a], [, b]) => b - a),
    };
  }

  #buffer(label: string, bytes: number): GPUBuffer {
    const buffer = this.#device.createBuffer(label, bytes);
    this.#owned.push(buffer);
    return buffer;
  }

  #layOutInputs(inputs: Readonly<Record<string, Tensor>>): Map<string, { buffer: GPUBuffer; offset: number; type: TensorType }> {
    let bytes = 0;
    const offsets = Object.values(inputs).map((tensor) => {
      const offset = bytes;
      bytes += align(tensor.size * BYTES_PER_ELEMENT[tensor.dtype]);
      return offset;
    });
    const buffer = this.#buffer('inputs', bytes);
    return new Map(Object.entries(inputs).map(([name, type], i) => [name, { buffer, offset: offsets[i], type }]));
  }

  #uploadLiterals(values: readonly Value[]): Map<Node, Storage> {
    const nodes = values.flatMap(({ leaf }) => (leaf?.op.name === 'literal' ? [leaf] : []));
    const total = nodes.reduce((bytes, node) => bytes + align(sizeOf(node.outputs[0].shape) * 4), 0);
    const placed = new Map<Node, Storage>();
    if (nodes.length === 0) return placed;
    const buffer = this.#buffer('literals', total);
    let offset = 0;
    for (const node of nodes) {
      const data = node.attributes.data as TypedArray;
      this.#device.gpu.queue.writeBuffer(buffer, offset, data);
      placed.set(node, { buffer, offsetBytes: offset });
      offset += align(data.byteLength);
    }
    return placed;
  }

  #buildDispatches({ steps }: Lowered, storageOf: (value: Value) => Storage): Dispatch[] {
    const { gpu, info } = this.#device;
    let uniformBytes = 0;
    const uniformOffsets = steps.map((step) => {
      const offset = uniformBytes;
      uniformBytes += align(step.uniforms.length * 4);
      return offset;
    });
    const uniforms = new Uint32Array(uniformBytes / 4);
    const floats = new Float32Array(uniforms.buffer);
    const signed = new Int32Array(uniforms.buffer);
    steps.forEach((step, i) => {
      step.uniforms.forEach(({ type, value }, field) => {
        const view = type === 'f32' ? floats : type === 'i32' ? signed : uniforms;
        view[uniformOffsets[i] / 4 + field] = value;
      });
    });
    const uniformBuffer = this.#device.createUniforms('uniforms', uniforms);
    this.#owned.push(uniformBuffer);
    return steps.map((step, i) => {
      const { kernel, parameters, forms } = pipelineRequest(step);
      const { layout, pipeline } = this.#device.pipeline(kernel, parameters, forms);
      const entries: GPUBindGroupEntry[] = step.bindings.map(({ value, name, range }, binding) => {
        const { buffer, offsetBytes } = storageOf(value);
        const unit = BYTES_PER_ELEMENT[value.dtype];
        const size = Math.max(4, range === undefined ? byteLength(value) : range.count * unit);
        if (size > info.maxBindingBytes)
          throw new GraphError(
            `${step.label}: ${name} takes ${size} bytes, but this adapter binds ${info.maxBindingBytes}`,
            'Use a smaller batch, or compute the loss in chunks (linearCrossEntropy).',
          );
        // A vec4 view needs whole vectors; values end on 256-byte bounds, so rounding up stays inside their own memory.
        return { binding, resource: { buffer, offset: offsetBytes + (range?.start ?? 0) * unit, size: Math.ceil(size / 16) * 16 } };
      });
      if (step.uniforms.length > 0)
        entries.push({
          binding: entries.length,
          resource: { buffer: uniformBuffer, offset: uniformOffsets[i], size: Math.ceil((step.uniforms.length * 4) / 16) * 16 },
        });
      return {
        label: step.label,
        kernel: step.kernel.name,
        flops: step.flops,
        bytes: step.bindings.reduce(
          (sum, { value, range }) => sum + (range === undefined ? byteLength(value) : range.count * BYTES_PER_ELEMENT[value.dtype]),
          0,
        ),
        pipeline,
        group: gpu.createBindGroup({ label: step.label, layout, entries }),
        workgroups: step.workgroups,
      };
    });
  }

  /** @throws {ShapeError | DTypeError} naming the input */
  #writeInputs(inputs: Readonly<Record<string, HostTensor>>): void {
    this.#device.expectHealthy();
    if (this.#disposed) throw new DisposedError('this program');
    for (const { name, slot } of this.#variables) if (slot.disposed === true) throw new DisposedError(`variable '${name}'`);
    for (const [name, { buffer, offset, type }] of this.#inputs) {
      const { data, shape } = inputs[name];
      if (!sameShape(shape, type.shape))
        throw new ShapeError(`input '${name}' is ${formatShape(shape)}, expected ${formatShape(type.shape)}`);
      if (dtypeOf(data) !== type.dtype) throw new DTypeError(`input '${name}' is ${dtypeOf(data)}, expected ${type.dtype}`);
      this.#device.gpu.queue.writeBuffer(buffer, offset, data);
    }
  }

  /** One call with the time of every kernel. The updates take place as in `run`. @throws {DeviceError} DEVICE_FEATURE: no timestamps here */
  profile(inputs: Readonly<Record<string, HostTensor>>): Promise<Profile> {
    this.#writeInputs(inputs);
    this.#calls++;
    return profileDispatches(this.#device, this.#dispatches);
  }

  /** Writes the inputs, encodes and submits. @throws {ShapeError | DTypeError} naming the input */
  run(inputs: Readonly<Record<string, HostTensor>>): Map<string, Result> {
    this.#writeInputs(inputs);
    const { gpu } = this.#device;
    const encoder = gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    let current: GPUComputePipeline | undefined;
    let index = 0;
    for (const { pipeline, group, workgroups } of this.#dispatches) {
      if (pipeline !== current) pass.setPipeline(pipeline);
      current = pipeline;
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(workgroups[0], workgroups[1], workgroups[2]);
      if (this.#checks?.encode(pass, index++) === true) current = undefined;
    }
    pass.end();
    gpu.queue.submit([encoder.finish()]);
    const call = ++this.#calls;
    return new Map(
      this.#outputs.map(({ name, type, buffer, offset }) => [
        name,
        new Result(
          name,
          type,
          () => this.#read(buffer, offset, type),
          () => this.#calls === call,
        ),
      ]),
    );
  }

  async #read(buffer: GPUBuffer, offset: number, type: TensorType): Promise<TypedArray> {
    if (this.#disposed) throw new DisposedError('the program of this result');
    const [values] = await Promise.all([this.#device.read(buffer, offset, type), this.#checks?.expectFinite()]);
    return values;
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#checks?.[Symbol.dispose]();
    for (const buffer of this.#owned) this.#device.destroyBuffer(buffer);
  }
}
