/**
 * What an op declares: its shape rule, its meaning on the host, its gradient and how it becomes kernels.
 * Nodes of the graph are plain data; passes over them live in `compile/`.
 */
import type { DType } from '../dtype.js';
import type { AdapterTraits, LoweringContext, RowNorm } from '../kernels/kernel.js';
import type { Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';

export interface TensorType {
  readonly shape: Shape;
  readonly dtype: DType;
}

export type Attributes = Readonly<Record<string, unknown>>;

/** Values on the host; f32 tensors are Float64Array where the interpreter runs in double precision. */
export type NumericArray = Float32Array | Float64Array | Int32Array | Uint32Array;

export interface Op<A extends Attributes = Attributes> {
  readonly name: string;
  /**
   * leaf: inputs, variables, constants. elementwise: one expression per element, fused into chains. view: another arrangement of the same
   * elements. compute: lowered to kernels of its own. update: writes variables in place, after every reader of their old value.
   */
  readonly kind: 'leaf' | 'elementwise' | 'view' | 'compute' | 'update';
  /** The shape rule. @throws {ShapeError | DTypeError} */
  infer(inputs: readonly TensorType[], attributes: A): readonly TensorType[];
  /** The meaning on the host: fills `outputs`, which start as zeros. Primitives have it, fused ops have `define`. */
  evaluate?(
    inputs: readonly NumericArray[],
    outputs: readonly NumericArray[],
    types: { inputs: readonly TensorType[]; outputs: readonly TensorType[] },
    attributes: A,
  ): void;
  /** The meaning in terms of simpler ops. */
  define?(inputs: readonly Tensor[], attributes: A): readonly Tensor[];
  /** d loss / d input per input, given d loss / d output; undefined where there is none. Without a rule, `define` is differentiated. */
  gradient?(
    upstream: readonly (Tensor | undefined)[],
    inputs: readonly Tensor[],
    attributes: A,
    outputs: readonly Tensor[],
  ): readonly (Tensor | undefined)[];
  /** elementwise only: the WGSL expression over operand expressions; `width` 4 asks for a vec4 of the dtype. */
  expression?(operands: readonly string[], attributes: A, type: { width: 1 | 4; output: DType; inputs: readonly DType[] }): string;
  /** elementwise only: WGSL functions that `expression` calls. */
  readonly functions?: string;
  /** Floating-point operations of the kernels, a multiply-add counted as two: for reports. Where absent, they are not counted. */
  flops?(inputs: readonly TensorType[], outputs: readonly TensorType[], attributes: A): number;
  /** compute: `lower` applies `context.epilogue` to its first output, if that reads no more than so many values besides. */
  readonly maxEpilogueOperands?: number;
  /** compute: rows of input 0 are normalised like this by input 1 and, in a layer norm, input 2; kernels that read the output can do so themselves. */
  readonly rowNorm?: RowNorm;
  /** compute: whether `lower` can take rows that are still to be normalised (`context.normalized`) as its input 0 here. */
  takesNormalized?(inputs: readonly TensorType[], outputs: readonly TensorType[], attributes: A, adapter: AdapterTraits): boolean;
  /** compute and update: the kernel calls that compute the outputs. */
  lower?(context: LoweringContext<A>): void;
}

/** Checks the declaration's types; gives the op back unchanged. */
export function defineOp<A extends Attributes>(op: Op<A>): Op<A> {
  return op;
}

let nextId = 0;

/** One application of an op. Immutable; identified by `id`, which grows in order of creation, so inputs have smaller ids. */
export class Node {
  readonly id = nextId++;
  readonly op: Op;
  readonly inputs: readonly Tensor[];
  readonly attributes: Attributes;
  readonly outputs: readonly TensorType[];
  constructor(op: Op, inputs: readonly Tensor[], attributes: Attributes, outputs: readonly TensorType[]) {
    this.op = op;
    this.inputs = inputs;
    this.attributes = attributes;
    this.outputs = outputs;
  }
}
