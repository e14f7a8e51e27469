/** Elementwise chains over values that are larger than a binding: the same chain over parts of its first axis. */
import { BYTES_PER_ELEMENT } from '../dtype.js';
import type { ElementwiseProgram, StridedOperand } from './elementwise.js';
import { RANGE_UNIT, type Range } from './kernel.js';

export interface ElementwisePart {
  readonly program: ElementwiseProgram;
  /** By binding; absent for values that are bound whole. */
  readonly inputs: readonly (Range | undefined)[];
  readonly output?: Range;
}

/** First and last element, and one more, that an operand reaches while its first axis goes from `start` for `count` steps. */
function reach({ strides, offset }: StridedOperand, shape: readonly number[], axis: number, start: number): readonly [number, number] {
  const first = offset + start * strides[axis];
  return [first, first + shape.reduce((sum, extent, i) => sum + (extent - 1) * strides[i], 0) + 1];
}

/** A range that holds all of `reaches`, in whole units, inside a value of `size` elements. */
function rangeOf(reaches: readonly (readonly [number, number])[], size: number): Range {
  const start = Math.floor(Math.min(...reaches.map(([first]) => first)) / RANGE_UNIT) * RANGE_UNIT;
  const end = Math.min(size, Math.ceil(Math.max(...reaches.map(([, last]) => last)) / 4) * 4);
  return { start, count: end - start };
}

/** The program whole where every value fits a binding of `maxBytes`, else in parts. */
export function partsOfElementwise(program: ElementwiseProgram, maxBytes: number): ElementwisePart[] {
  const isLarge = ({ size, dtype }: StridedOperand) => size * BYTES_PER_ELEMENT[dtype] > maxBytes;
  const inputs: boolean[] = [];
  for (const load of program.loads) inputs[load.binding] = isLarge(load);
  const output = program.stores.some(({ target }) => isLarge(target));
  return output || inputs.includes(true) ? splitElementwise(program, { inputs, output }, maxBytes) : [{ program, inputs: [] }];
}

/** @param large which values do not fit a binding of `maxBytes` */
function splitElementwise(
  program: ElementwiseProgram,
  large: { readonly inputs: readonly boolean[]; readonly output: boolean },
  maxBytes: number,
): ElementwisePart[] {
  const axis = Math.max(
    0,
    program.shape.findIndex((extent) => extent > 1),
  );
  const [{ target }] = program.stores;
  const operands = [...program.loads.filter(({ binding }) => large.inputs[binding]), ...(large.output ? [target] : [])];
  // A row of the first axis takes this many bytes of the value that moves fastest; a unit is kept for alignment.
  const perStep = Math.max(1, ...operands.map(({ strides, dtype }) => strides[axis] * BYTES_PER_ELEMENT[dtype]));
  const step = Math.max(1, Math.floor((maxBytes - RANGE_UNIT * 4) / perStep));
  const parts: ElementwisePart[] = [];
  for (let start = 0; start < program.shape[axis]; start += step) {
    const shape = program.shape.with(axis, Math.min(step, program.shape[axis] - start));
    const inputs = large.inputs.map((isLarge, binding) => {
      const reads = program.loads.filter((load) => load.binding === binding);
      return isLarge
        ? rangeOf(
            reads.map((load) => reach(load, shape, axis, start)),
            reads[0].size,
          )
        : undefined;
    });
    const output = large.output ? rangeOf([reach(target, shape, axis, start)], target.size) : undefined;
    const moved = <O extends StridedOperand>(operand: O, range: Range | undefined): O => ({
      ...operand,
      offset: operand.offset + start * operand.strides[axis] - (range?.start ?? 0),
      size: range?.count ?? operand.size,
    });
    parts.push({
      program: {
        shape,
        loads: program.loads.map((load) => moved(load, inputs[load.binding])),
        instructions: program.instructions.map((instruction) =>
          instruction.kind === 'coordinate' && instruction.index === axis ? { ...instruction, base: start } : instruction,
        ),
        stores: program.stores.map((store) => ({ ...store, target: moved(store.target, output) })),
      },
      inputs,
      ...(output === undefined ? {} : { output }),
    });
  }
  return parts;
}
