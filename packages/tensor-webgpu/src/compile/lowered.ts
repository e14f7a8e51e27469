/** What lowering gives: kernel calls over values, and where results are. Plain data, read by the passes after it. */
import { BYTES_PER_ELEMENT, type DType } from '../dtype.js';
import type { Attributes, Node, Op, TensorType } from '../graph/op.js';
import type { AdapterTraits, Kernel, Range } from '../kernels/kernel.js';
import type { Tensor } from '../tensor.js';

/** Memory that a program reads or writes: planned (arena), or owned by somebody else (a leaf's). */
export interface Value {
  readonly id: number;
  readonly elements: number;
  readonly dtype: DType;
  readonly label: string;
  /** The leaf that owns it. */
  readonly leaf?: Node;
  /** A value of which this is the part at `offset` elements. */
  parent?: { readonly value: Value; readonly offset: number };
}

/** Bytes of a value. */
export function byteLength({ elements, dtype }: Value): number {
  return elements * BYTES_PER_ELEMENT[dtype];
}

export interface Binding {
  readonly name: string;
  readonly value: Value;
  readonly writes: boolean;
  /** The part that is bound; the whole value where absent. */
  readonly range?: Range;
}

export interface Step {
  /** The op's name. */
  readonly label: string;
  /** Floating-point operations, as far as they are counted; those of an op with several kernels stand at its last. */
  readonly flops: number;
  readonly kernel: Kernel<object>;
  readonly parameters: object;
  /** In the order of the kernel's bindings. */
  readonly bindings: readonly Binding[];
  readonly uniforms: readonly { readonly type: 'u32' | 'i32' | 'f32'; readonly value: number }[];
  readonly workgroups: readonly [number, number, number];
}

/** A choice between forms that was made, and the op it was made for: what a tuner needs. */
export interface Choice {
  readonly key: string;
  readonly forms: readonly string[];
  readonly op: Op;
  readonly inputs: readonly TensorType[];
  readonly attributes: Attributes;
}

export interface LoweringOptions {
  readonly adapter: AdapterTraits;
  readonly batchInvariant: boolean;
  /** Whether elementwise chains, and the products before them, run as one kernel. */
  readonly fuse: boolean;
  /** Of the forms of a kernel the one that is used. */
  choose(key: string, forms: readonly string[]): string;
}

export interface Lowered {
  readonly choices: readonly Choice[];
  readonly steps: readonly Step[];
  readonly values: readonly Value[];
  /** Where each requested tensor is, contiguous. */
  readonly results: readonly Value[];
}

export interface UpdateTarget {
  /** The leaf of the variable that is written. */
  readonly leaf: Tensor;
  readonly value: Tensor;
}
