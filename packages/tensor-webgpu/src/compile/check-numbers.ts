/** Finds the first op of a program whose output is not finite: after every dispatch, a small kernel looks at what it wrote. */
import type { Device } from '../device/device.js';
import type { Storage } from '../device/variables.js';
import { BYTES_PER_ELEMENT, isFloat } from '../dtype.js';
import { NumberError } from '../errors.js';
import { defineKernel, spread } from '../kernels/kernel.js';
import type { Binding, Step, Value } from './lowered.js';

const LANES = 64;
const NONE = 0xffffffff;

// The exponent's bits, all ones: NaN and infinities, whatever the compiler makes of comparisons with NaN.
const checkKernel = defineKernel<object>({
  name: 'check-numbers',
  bindings: { x: 'read', first: 'read_write' },
  types: () => ({ first: 'atomic<u32>' }),
  uniforms: { count: 'u32', step: 'u32' },
  wgsl: () => `
@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * 65535u + group.x) * ${LANES}u + lane;
  if (i >= u.count) { return; }
  if ((bitcast<u32>(x[i]) & 0x7f800000u) == 0x7f800000u) { atomicMin(&first[0], u.step); }
}`,
});

interface Check {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly workgroups: readonly [number, number, number];
}

export class NumberChecks implements Disposable {
  readonly #device: Device;
  readonly #steps: readonly Step[];
  readonly #first: GPUBuffer;
  readonly #checks = new Map<number, Check[]>();
  readonly #owned: GPUBuffer[] = [];

  constructor(device: Device, steps: readonly Step[], storageOf: (value: Value) => Storage) {
    this.#device = device;
    this.#steps = steps;
    this.#first = device.createBuffer('first op that is not finite', 4);
    this.#clear();
    steps.forEach((step, index) => {
      // Scratch is skipped: kernels keep integers in it too.
      const written = step.bindings.filter(({ value, writes }) => writes && isFloat(value.dtype) && !value.label.endsWith('scratch'));
      this.#checks.set(
        index,
        written.map((binding) => this.#check(index, binding, storageOf(binding.value))),
      );
    });
  }

  /** Of the part that was bound, where a value is larger than a binding. */
  #check(step: number, { value, range = { start: 0, count: value.elements } }: Binding, { buffer, offsetBytes }: Storage): Check {
    const unit = BYTES_PER_ELEMENT[value.dtype];
    const forms = { writable: new Set(['x']), halves: new Set(value.dtype === 'f16' ? ['x'] : []) };
    const { layout, pipeline } = this.#device.pipeline(checkKernel, {}, forms);
    const uniforms = this.#device.createUniforms('check', new Uint32Array([range.count, step, 0, 0]));
    this.#owned.push(uniforms);
    const size = Math.max(16, Math.ceil((range.count * unit) / 16) * 16);
    const resources = [
      { buffer, offset: offsetBytes + range.start * unit, size },
      { buffer: this.#first, size: 16 },
      { buffer: uniforms, size: 16 },
    ];
    const group = this.#device.gpu.createBindGroup({ layout, entries: resources.map((resource, binding) => ({ binding, resource })) });
    return { pipeline, group, workgroups: spread(Math.ceil(range.count / LANES)) };
  }

  /** Appends the checks of a step. @returns whether there are any */
  encode(pass: GPUComputePassEncoder, step: number): boolean {
    const checks = this.#checks.get(step) ?? [];
    for (const { pipeline, group, workgroups } of checks) {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(...workgroups);
    }
    return checks.length > 0;
  }

  #clear(): void {
    this.#device.gpu.queue.writeBuffer(this.#first, 0, new Uint32Array([NONE]));
  }

  /** @throws {NumberError} naming the first op since the last time that was asked */
  async expectFinite(): Promise<void> {
    const [first] = await this.#device.read(this.#first, 0, { shape: [1], dtype: 'u32' });
    if (first === NONE) return;
    this.#clear();
    const { label, kernel } = this.#steps[first];
    throw new NumberError(label, kernel.name, `dispatch ${first + 1} of ${this.#steps.length}`);
  }

  [Symbol.dispose](): void {
    for (const buffer of [this.#first, ...this.#owned]) this.#device.destroyBuffer(buffer);
  }
}
