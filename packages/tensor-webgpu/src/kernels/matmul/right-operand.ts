/** How a product reads B: floats as they lie in memory, or quantised words that are decoded as they are loaded. All forms take both. */
import type { QuantizedFormat } from '../../quantize.js';
import { rowWords, scaleIndex, unpackOutputs, weightFunction } from '../quantized.js';

/** [K, N], [N, K], or quantised [N, K]. */
export type RightOperand = 'plain' | 'transposed' | QuantizedFormat;

/** How the operands of a product are stored. */
export interface ProductForm {
  readonly transposeA: boolean;
  readonly right: RightOperand;
}

const COMPONENTS = ['x', 'y', 'z', 'w'];
const range = (count: number) => Array.from({ length: count }, (_, i) => i);

/** The bindings of B. */
export function rightBindings(operand: RightOperand): Readonly<Record<string, 'read'>> {
  return operand === 'plain' || operand === 'transposed' ? { b: 'read' } : { words: 'read', scales: 'read' };
}

/** B element by element, for forms that take every shape. */
export function elementsOf(operand: RightOperand): {
  readonly types: Readonly<Record<string, string>>;
  readonly functions: string;
  /** An element; `b0` is the first one of the batch. */
  element(k: string, n: string): string;
} {
  if (operand === 'plain') return { types: {}, functions: '', element: (k, n) => `b[b0 + (${k}) * u.N + ${n}]` };
  if (operand === 'transposed') return { types: {}, functions: '', element: (k, n) => `b[b0 + (${n}) * u.K + ${k}]` };
  return {
    types: { words: 'u32' },
    functions: weightFunction(operand, 'u.K'),
    element: (k, n) => `weight(${n}, ${k})`,
  };
}

/** B four columns at a time, for the forms of subgroups: K is a multiple of 32, column{v} a vector of four columns. */
export function columnsOf(operand: RightOperand): {
  readonly types: Readonly<Record<string, string>>;
  /** Rows that are loaded at a time, in fours. */
  readonly steps: 1 | 2;
  /** Declares what holds for all of K. */
  before(v: number): string;
  /** Declares what holds for 32 rows from row `k` on. */
  group(v: number, k: string): string;
  /** Declares q{v}_0 ..: rows of B at these columns, from row 4 · `k4` on, `k4` a multiple of `steps`. */
  rows(v: number, k4: string): string[];
} {
  if (operand === 'plain')
    return {
      types: { b: 'vec4f' },
      steps: 1,
      before: () => '',
      group: () => '',
      rows: (v, k4) => range(4).map((i) => `let q${v}_${i} = b[b0 + (${k4} * 4u + ${i}u) * N4 + column${v}];`),
    };
  if (operand === 'transposed')
    return {
      types: { b: 'vec4f' },
      steps: 1,
      before: () => '',
      group: () => '',
      // Four vec4 along K, one per column, become four rows by a transposition in registers.
      rows: (v, k4) => [
        ...range(4).map((j) => `let p${v}_${j} = b[b0 + (column${v} * 4u + ${j}u) * K4 + ${k4}];`),
        ...range(4).map((i) => {
          const row = range(4).map((j) => `p${v}_${j}.${COMPONENTS[i]}`);
          return `let q${v}_${i} = vec4f(${row.join(', ')});`;
        }),
      ],
    };
  const steps = operand === 'int8' ? 1 : 2;
  const scale = (v: number, k: string) => `let scale${v} = scales[${scaleIndex(operand, `column${v}`, k, 'u.K')}];`;
  return {
    types: { words: 'vec4u', scales: 'vec4f' },
    steps,
    before: (v) => (operand === 'int8' ? scale(v, '0u') : ''),
    group: (v, k) => (operand === 'int4' ? scale(v, k) : ''),
    rows: (v, k4) => [
      `let p${v} = words[column${v} * ${rowWords(operand, 'u.K')} + ${steps === 1 ? k4 : `(${k4}) / 2u`}];`,
      ...range(4 * steps).map((i) => `let q${v}_${i} = ${unpackOutputs(operand, `p${v}`, i)} * scale${v};`),
    ],
  };
}
