/**
 * An elementwise chain that a kernel applies to its result before storing it: a bias, an activation, a residual. It saves a pass over memory
 * and a dispatch. The chain becomes a function of the text; kernels that take one call it where they store.
 */
import { functionsOf, type Instruction } from './elementwise.js';
import type { ValueRef } from './kernel.js';

/** What a chain reads besides the kernel's result: the element at the same place, the one of the same column, or one for all. */
export type EpilogueOperand = 'element' | 'column' | 'one';

export interface Epilogue {
  readonly operands: readonly { readonly kind: EpilogueOperand; readonly value: ValueRef }[];
  /** In order; the last is the result. A load of index −1 is the kernel's own result, others are operands. */
  readonly instructions: readonly Instruction[];
}

/** What a kernel's declaration needs for an epilogue: further bindings, their element types, and the function. */
export interface EpilogueText {
  readonly bindings: Readonly<Record<string, 'read'>>;
  readonly types: Readonly<Record<string, string>>;
  /** `finish(value, at, column)`: indices in units of `width` elements. */
  readonly wgsl: string;
}

export function epilogueText(epilogue: Epilogue | undefined, width: 1 | 4): EpilogueText {
  const type = width === 4 ? 'vec4f' : 'f32';
  const opening = `fn finish(value: ${type}, at: u32, column: u32) -> ${type} {`;
  if (epilogue === undefined) return { bindings: {}, types: {}, wgsl: `${opening} return value; }` };
  const { operands, instructions } = epilogue;
  const load = (index: number) => {
    if (index < 0) return 'value';
    const { kind } = operands[index];
    return kind === 'one' ? `${type}(e${index}[0])` : `e${index}[${kind === 'element' ? 'at' : 'column'}]`;
  };
  const lines = instructions.map(({ kind, index, operands: names, expression }, number) => {
    const value =
      kind === 'load'
        ? load(index)
        : expression?.(
            names.map((name) => `v${name}`),
            width,
          );
    return `  let v${number} = ${value};`;
  });
  return {
    bindings: Object.fromEntries(operands.map((_, i) => [`e${i}`, 'read'])),
    types: Object.fromEntries(operands.map(({ kind }, i) => [`e${i}`, kind === 'one' ? 'f32' : type])),
    wgsl: `${functionsOf(instructions)}\n${opening}\n${lines.join('\n')}\n  return v${instructions.length - 1};\n}`,
  };
}

/** The bindings of an epilogue's operands, for a call. */
export function epilogueBindings(epilogue: Epilogue | undefined): Readonly<Record<string, ValueRef>> {
  return Object.fromEntries(epilogue?.operands.map(({ value }, i) => [`e${i}`, value]) ?? []);
}
