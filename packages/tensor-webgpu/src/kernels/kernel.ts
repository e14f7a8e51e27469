/**
 * Kernels as data: bindings and uniforms are declared once and their WGSL declarations generated from them; the body is a template.
 * Structure (tile, unrolling, types) is template; sizes are uniforms, so one pipeline serves every shape of its structure.
 */
import type { Attributes, TensorType } from '../graph/op.js';
import type { Epilogue } from './epilogue.js';
import { widen } from './half.js';

/** What forms are chosen by. */
export interface AdapterTraits {
  /** A CPU behind the API (lavapipe, SwiftShader): loads and barriers dear, subgroup shuffles cheap. */
  readonly software: boolean;
  readonly subgroups: boolean;
  readonly subgroupMinSize: number;
  readonly subgroupMaxSize: number;
  /** What one binding holds; larger values are worked on in parts. */
  readonly maxBindingBytes: number;
  /** Storage buffers that a kernel may bind. */
  readonly maxStorageBuffers: number;
}

/** A value a kernel call binds: an input or output of the op, scratch memory that lives for the op alone, an operand of its epilogue, or a
 * parameter of the norm that its rows pass. */
export interface ValueRef {
  readonly source: 'input' | 'output' | 'scratch' | 'operand' | 'normalization';
  readonly index: number;
  /** The part that is bound; the whole value where absent. */
  readonly range?: Range;
}

/** Elements of a value; `start` is a multiple of {@link RANGE_UNIT}. */
export interface Range {
  readonly start: number;
  readonly count: number;
}

/** Bindings begin at multiples of 256 bytes: this many f16, or twice as many as needed of f32. */
export const RANGE_UNIT = 128;

/**
 * Parts of `total` items of `itemElements` each, such that no part takes more than `maxElements`; parts begin where a binding can.
 * A part holds one unit of items at least; where that is too much, the binding is refused.
 */
export function partsOf(total: number, itemElements: number, maxElements: number): Range[] {
  const unit = RANGE_UNIT / greatestCommonDivisor(RANGE_UNIT, itemElements);
  const size = Math.max(unit, Math.floor(maxElements / Math.max(1, itemElements) / unit) * unit);
  return Array.from({ length: Math.ceil(total / size) }, (_, i) => ({ start: i * size, count: Math.min(size, total - i * size) }));
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

export type Access = 'read' | 'write' | 'read_write';

/** How rows are normalised: as in a layer norm, or an RMS norm. */
export type RowNorm = 'layer' | 'rms';

/** A norm as a kernel applies it to the rows it reads. */
export interface NormalizedRows {
  readonly norm: RowNorm;
  readonly eps: number;
  readonly weight: ValueRef;
  /** Of a layer norm. */
  readonly bias?: ValueRef;
}

export interface LoweringContext<A extends Attributes = Attributes> {
  readonly attributes: A;
  readonly inputs: readonly TensorType[];
  readonly outputs: readonly TensorType[];
  readonly adapter: AdapterTraits;
  /** Whether a row's result must not depend on how many rows there are. */
  readonly batchInvariant: boolean;
  /**
   * One of the forms that compute the same: as measured on this adapter for the class of sizes `key`, else the first. `key` names everything
   * that the measurement depends on.
   */
  choose<F extends string>(key: string, forms: readonly F[]): F;
  /** What to apply to the first output before storing it; only ops that say `maxEpilogueOperands` are given one. */
  readonly epilogue?: Epilogue;
  /** Input 0 stands before this norm, which the kernel applies as it reads; only ops that say `takesNormalized` are given one. */
  readonly normalized?: NormalizedRows;
  input(index: number): ValueRef;
  output(index: number): ValueRef;
  /** Planned memory of `elements` 32-bit words, uninitialised, shared by this op's calls only. */
  scratch(elements: number): ValueRef;
  /** Appends one dispatch. */
  call<P extends object>(
    kernel: Kernel<P>,
    call: {
      parameters: P;
      bindings: Readonly<Record<string, ValueRef>>;
      uniforms: Readonly<Record<string, number>>;
      workgroups: number | readonly [number, number, number];
    },
  ): void;
}

export interface Kernel<P extends object> {
  readonly name: string;
  /** Binding names in order of their numbers. `read` promises that the kernel does not write. */
  readonly bindings: Readonly<Record<string, Access>>;
  /** The element type of each binding; `array<f32>` where it says nothing. */
  readonly types?: (parameters: P) => Readonly<Record<string, string>>;
  readonly uniforms: Readonly<Record<string, 'u32' | 'i32' | 'f32'>>;
  /** Whether the text uses subgroup operations. */
  readonly subgroups?: (parameters: P) => boolean;
  /** The body: everything after the generated declarations. Uniforms are `u.name`. */
  wgsl(parameters: P): string;
}

export function defineKernel<P extends object>(kernel: Kernel<P>): Kernel<P> {
  return kernel;
}

/** The most workgroups WebGPU dispatches along one dimension. */
export const MAX_WORKGROUPS = 65_535;

/** A linear count of workgroups as [x, y, 1]; kernels recover the index as `group.y * 65535 + group.x` and must check it against their count. */
export function spread(count: number): readonly [number, number, number] {
  return count <= MAX_WORKGROUPS ? [count, 1, 1] : [MAX_WORKGROUPS, Math.ceil(count / MAX_WORKGROUPS), 1];
}

/** What a kernel's text depends on besides its parameters: bindings that must be declared read_write because of where their values live, and those stored as f16. */
export interface BindingForms {
  readonly writable: ReadonlySet<string>;
  readonly halves: ReadonlySet<string>;
}

/** The first line of texts that need the feature `shader-f16`. */
export const ENABLE_F16 = 'enable f16;';

/** The whole text of a kernel. */
export function kernelSource<P extends object>(kernel: Kernel<P>, parameters: P, { writable, halves }: BindingForms): string {
  const types = kernel.types?.(parameters) ?? {};
  let body = kernel.wgsl(parameters);
  for (const name of halves) body = widen(body, name, types[name] ?? 'f32');
  // A fused chain may round to f16 without storing any.
  const lines = halves.size > 0 || /\bf16\b/.test(body) ? [ENABLE_F16] : [];
  if (kernel.subgroups?.(parameters)) lines.push('enable subgroups;', 'diagnostic(off, subgroup_uniformity);');
  Object.entries(kernel.bindings).forEach(([name, access], binding) => {
    const mode = access === 'read' && !writable.has(name) ? 'read' : 'read_write';
    const type = types[name] ?? 'f32';
    const stored = !halves.has(name) ? type : type === 'f32' ? 'f16' : 'vec4<f16>';
    lines.push(`@group(0) @binding(${binding}) var<storage, ${mode}> ${name}: array<${stored}>;`);
  });
  const uniforms = Object.entries(kernel.uniforms);
  if (uniforms.length > 0) {
    lines.push(`struct Uniforms { ${uniforms.map(([name, type]) => `${name}: ${type}`).join(', ')} }`);
    lines.push(`@group(0) @binding(${Object.keys(kernel.bindings).length}) var<uniform> u: Uniforms;`);
  }
  return `${lines.join('\n')}\n${body}`;
}
