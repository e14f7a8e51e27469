/** A fused chain as code over memory, and whether a kernel can apply it to its own result. */
import { isFloat } from '../dtype.js';
import type { Instruction, StridedOperand } from '../kernels/elementwise.js';
import type { EpilogueOperand } from '../kernels/epilogue.js';
import { sizeOf, stridesOf } from '../shape.js';
import type { Value } from './lowered.js';

/** A chain's code over what it reads; `result` is the number of the instruction that is stored. */
export interface ChainProgram {
  readonly shape: readonly number[];
  readonly loads: readonly { readonly value: Value; readonly operand: StridedOperand }[];
  readonly instructions: readonly Instruction[];
  readonly result: number;
}

export function copyProgram(shape: readonly number[], value: Value, operand: StridedOperand): ChainProgram {
  return { shape, loads: [{ value, operand }], instructions: [{ kind: 'load', index: 0, operands: [] }], result: 0 };
}

/**
 * How a chain's loads can be read where a kernel stores `own`; undefined where one cannot, or there are more than `most`. `bound` are the values
 * that the kernel binds anyway: a value is bound once.
 */
export function epilogueOperands(
  { shape, loads, instructions, result }: ChainProgram,
  own: Value,
  bound: readonly Value[],
  most: number,
): { readonly load: number; readonly kind: EpilogueOperand }[] | undefined {
  if (result !== instructions.length - 1 || instructions.some(({ kind }) => kind === 'coordinate')) return undefined;
  const dense = stridesOf(shape);
  const operands: { load: number; kind: EpilogueOperand }[] = [];
  const seen = new Set(bound);
  for (const [load, { value, operand }] of loads.entries()) {
    const { strides, offset, dtype } = operand;
    const walks = (wanted: readonly number[]) =>
      offset === 0 && shape.every((extent, axis) => extent === 1 || strides[axis] === wanted[axis]);
    const isElement = walks(dense) && value.elements === sizeOf(shape);
    if (value === own) {
      if (!isElement) return undefined;
      continue;
    }
    const isColumn = walks(shape.map((_, axis) => (axis === shape.length - 1 ? 1 : 0))) && value.elements === shape.at(-1);
    const kind = isElement ? 'element' : isColumn ? 'column' : walks(shape.map(() => 0)) ? 'one' : undefined;
    if (kind === undefined || !isFloat(dtype) || seen.has(value) || operands.length === most) return undefined;
    seen.add(value);
    operands.push({ load, kind });
  }
  return operands;
}
