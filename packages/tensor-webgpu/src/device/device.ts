/** A WebGPU device: buffers, pipelines and read-back. The only neighbours of WebGPU are the files of this folder. */
import { compile, evaluate, type Program, type Traced } from '../compile/compile.js';
import type { CompileOptions } from '../compile/program.js';
import type { TypedArray } from '../dtype.js';
import { BYTES_PER_ELEMENT, typedArray } from '../dtype.js';
import { DeviceError } from '../errors.js';
import type { TensorType } from '../graph/op.js';
import { type AdapterTraits, type BindingForms, ENABLE_F16, type Kernel, kernelSource } from '../kernels/kernel.js';
import { sizeOf } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { ALIGNMENT, align } from './alignment.js';
import { Tuning, tuneMode } from './tuning.js';
import { VariableSet, type VariableSpec } from './variables.js';
import { waitFor } from './wait.js';

export interface DeviceInfo {
  readonly vendor: string;
  readonly architecture: string;
  readonly description: string;
  /** A CPU behind WebGPU. */
  readonly software: boolean;
  readonly features: readonly string[];
  readonly maxBufferBytes: number;
  readonly maxBindingBytes: number;
}

export interface Pipeline {
  readonly label: string;
  readonly layout: GPUBindGroupLayout;
  readonly pipeline: GPUComputePipeline;
}

export class Device implements Disposable {
  readonly gpu: GPUDevice;
  readonly info: DeviceInfo;
  readonly traits: AdapterTraits;
  readonly tuning: Tuning;
  readonly #pipelines = new Map<string, Pipeline>();
  readonly #staging: GPUBuffer[] = [];
  #bufferBytes = 0;
  #failure: DeviceError | undefined;
  #disposed = false;

  constructor(gpu: GPUDevice, info: GPUAdapterInfo, traits: Partial<AdapterTraits> & Pick<AdapterTraits, 'software'>) {
    this.gpu = gpu;
    const { subgroupMinSize = 0, subgroupMaxSize = 0 } = info;
    this.traits = {
      subgroups: gpu.features.has('subgroups'),
      subgroupMinSize,
      subgroupMaxSize,
      maxBindingBytes: gpu.limits.maxStorageBufferBindingSize,
      maxStorageBuffers: gpu.limits.maxStorageBuffersPerShaderStage,
      ...traits,
    };
    const { vendor, architecture, description } = info;
    this.tuning = new Tuning(`${vendor} ${architecture} ${description}`, tuneMode());
    this.info = {
      vendor: info.vendor,
      architecture: info.architecture,
      description: info.description,
      software: traits.software,
      features: [...gpu.features].sort(),
      maxBufferBytes: gpu.limits.maxBufferSize,
      maxBindingBytes: this.traits.maxBindingBytes,
    };
    gpu.addEventListener('uncapturederror', ({ error }) => {
      this.#failure ??= new DeviceError('DEVICE_REJECTED', `the device refused a command: ${error.message}`, {
        remedy: 'Reduce sizes if this says out of memory; else report it with the output of `npm run doctor`.',
      });
    });
    void gpu.lost.then(({ reason, message }) => {
      if (this.#disposed) return;
      this.#failure ??= new DeviceError('DEVICE_LOST', `the device was lost (${reason}): ${message}`, {
        remedy: 'Open a new device and go on from the last checkpoint.',
      });
    });
  }

  /** @throws {DeviceError} what the device reported since it was opened */
  expectHealthy(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#disposed)
      throw new DeviceError('DEVICE_CLOSED', 'the device was disposed', { remedy: 'Keep the device until all work on it is done.' });
  }

  /** A buffer for storage bindings, copies and writes. @throws {DeviceError} if a buffer of `bytes` cannot exist here */
  createBuffer(label: string, bytes: number): GPUBuffer {
    if (bytes > this.info.maxBufferBytes) {
      throw new DeviceError(
        'DEVICE_BUFFER_TOO_LARGE',
        `${label}: ${bytes} bytes, but this adapter's buffers hold ${this.info.maxBufferBytes}`,
        { remedy: 'Use a smaller model or batch.' },
      );
    }
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const buffer = this.gpu.createBuffer({ label, size: Math.max(align(bytes), ALIGNMENT), usage });
    this.#bufferBytes += buffer.size;
    return buffer;
  }

  /** Gives a buffer back that this made. */
  destroyBuffer(buffer: GPUBuffer): void {
    this.#bufferBytes -= buffer.size;
    buffer.destroy();
  }

  /** Of variables and programs: their values, inputs and results. */
  get bufferBytes(): number {
    return this.#bufferBytes;
  }

  createUniforms(label: string, data: Uint32Array<ArrayBuffer>): GPUBuffer {
    const buffer = this.gpu.createBuffer({
      label,
      size: Math.max(align(data.byteLength), ALIGNMENT),
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
    this.#bufferBytes += buffer.size;
    this.gpu.queue.writeBuffer(buffer, 0, data);
    return buffer;
  }

  /** The pipeline of a kernel, compiled once per text. */
  pipeline<P extends object>(kernel: Kernel<P>, parameters: P, forms: BindingForms): Pipeline {
    const code = kernelSource(kernel, parameters, forms);
    const existing = this.#pipelines.get(code);
    if (existing !== undefined) return existing;
    const { layout, descriptor } = this.#describe(kernel, forms, code);
    const created = { label: kernel.name, layout, pipeline: this.gpu.createComputePipeline(descriptor) };
    this.#pipelines.set(code, created);
    return created;
  }

  /** Compiles the pipelines of kernels at once, as many in parallel as the driver can. @param onProgress called after each */
  async compilePipelines(
    requests: readonly { readonly kernel: Kernel<object>; readonly parameters: object; readonly forms: BindingForms }[],
    onProgress?: (done: number, total: number) => void,
  ): Promise<void> {
    const missing = new Map(
      requests
        .map((request) => [kernelSource(request.kernel, request.parameters, request.forms), request] as const)
        .filter(([code]) => !this.#pipelines.has(code)),
    );
    let done = 0;
    onProgress?.(done, missing.size);
    const all = [...missing].map(async ([code, { kernel, forms }]) => {
      const { layout, descriptor } = this.#describe(kernel, forms, code);
      const pipeline = await this.gpu.createComputePipelineAsync(descriptor);
      this.#pipelines.set(code, { label: kernel.name, layout, pipeline });
      onProgress?.(++done, missing.size);
    });
    await waitFor(Promise.all(all), this.traits.software);
    this.expectHealthy();
  }

  #describe<P extends object>(
    kernel: Kernel<P>,
    forms: BindingForms,
    code: string,
  ): { readonly layout: GPUBindGroupLayout; readonly descriptor: GPUComputePipelineDescriptor } {
    if (code.startsWith(ENABLE_F16) && !this.info.features.includes('shader-f16'))
      throw new DeviceError('DEVICE_FEATURE', `${kernel.name}: this adapter has no shader-f16`, {
        remedy: "Ask `device.floatType('f16')` for the dtype of activations: it falls back to f32.",
      });
    const entries: GPUBindGroupLayoutEntry[] = Object.entries(kernel.bindings).map(([name, access], binding) => ({
      binding,
      visibility: GPUShaderStage.COMPUTE,
      buffer: { type: access === 'read' && !forms.writable.has(name) ? 'read-only-storage' : 'storage' },
    }));
    if (Object.keys(kernel.uniforms).length > 0)
      entries.push({ binding: entries.length, visibility: GPUShaderStage.COMPUTE, buffer: { type: 'uniform' } });
    const layout = this.gpu.createBindGroupLayout({ label: kernel.name, entries });
    const descriptor = {
      label: kernel.name,
      layout: this.gpu.createPipelineLayout({ label: kernel.name, bindGroupLayouts: [layout] }),
      compute: { module: this.gpu.createShaderModule({ label: kernel.name, code }), entryPoint: 'main' },
    };
    return { layout, descriptor };
  }

  /** Copies a range of a buffer to the host. The copy is of the buffer as it is when this is called. */
  async read(buffer: GPUBuffer, offset: number, type: TensorType): Promise<TypedArray> {
    this.expectHealthy();
    const bytes = Math.ceil((sizeOf(type.shape) * BYTES_PER_ELEMENT[type.dtype]) / 4) * 4;
    if (bytes === 0) return typedArray(type.dtype, 0);
    const staging = this.#takeStaging(bytes);
    const encoder = this.gpu.createCommandEncoder({ label: 'read' });
    encoder.copyBufferToBuffer(buffer, offset, staging, 0, bytes);
    this.gpu.queue.submit([encoder.finish()]);
    try {
      await waitFor(staging.mapAsync(GPUMapMode.READ, 0, bytes), this.traits.software);
    } catch (cause) {
      this.expectHealthy();
      throw new DeviceError('DEVICE_READ', `reading ${bytes} bytes failed`, {
        remedy: 'Open a new device and go on from the last checkpoint.',
        cause,
      });
    }
    const copy = staging.getMappedRange(0, bytes).slice(0);
    staging.unmap();
    this.#staging.push(staging);
    this.expectHealthy();
    const values = typedArray(type.dtype, copy);
    return values.length === sizeOf(type.shape) ? values : (values.slice(0, sizeOf(type.shape)) as TypedArray);
  }

  /** Staging buffers are kept: creating one costs more than a small read. */
  #takeStaging(bytes: number): GPUBuffer {
    const index = this.#staging.findIndex((buffer) => buffer.size >= bytes && buffer.size <= Math.max(bytes * 4, 4096));
    if (index >= 0) return this.#staging.splice(index, 1)[0];
    return this.gpu.createBuffer({ label: 'staging', size: align(bytes), usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  }

  /** The dtype for activations: `wanted`, or f32 with a warning where the adapter has no shader-f16. */
  floatType(wanted: 'f16' | 'f32'): 'f16' | 'f32' {
    if (wanted === 'f32' || this.info.features.includes('shader-f16')) return wanted;
    console.warn(`${this.info.description || 'this adapter'} has no shader-f16: activations are f32`);
    return 'f32';
  }

  /** Memory for `specs` in one flat buffer; its content is zero until written. */
  variables(specs: Readonly<Record<string, VariableSpec>>, label?: string): VariableSet {
    return new VariableSet(this, specs, label);
  }

  /** A program that `trace` describes; traced and compiled once per signature of input shapes. */
  compile<I extends Readonly<Record<string, Tensor>>, O extends Readonly<Record<string, Tensor>>>(
    trace: (inputs: I) => Traced<O>,
    options?: CompileOptions,
  ): Program<I, O> {
    return compile(this, trace, options);
  }

  /** Computes tensors of variables and constants, once. */
  run(tensors: readonly Tensor[]): Promise<TypedArray[]> {
    return evaluate(this, tensors);
  }

  /** Resolves when everything submitted so far has run. */
  async finish(): Promise<void> {
    await waitFor(this.gpu.queue.onSubmittedWorkDone(), this.traits.software);
    this.expectHealthy();
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const buffer of this.#staging) buffer.destroy();
    this.gpu.destroy();
  }
}
