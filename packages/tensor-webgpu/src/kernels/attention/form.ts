/**
 * The forms of attention kernels, and how their text is made. A thread owns one query (or key) and keeps its vectors in function arrays; rows
 * of the other side pass by in blocks. On CPUs with subgroups the eight lanes load each row together and pass it on by broadcasts.
 */
import { isCpuWithSubgroups, sweep, unroll } from '../forms.js';
import type { AdapterTraits } from '../kernel.js';

export interface AttentionForm {
  readonly headDim: number;
  readonly software: boolean;
  /** Elements per load: 4 where the head's width allows it. */
  readonly vector: 1 | 4;
  /** Rows are loaded by all lanes together and passed on by broadcasts. */
  readonly shared: boolean;
  /** Threads per workgroup. */
  readonly lanes: number;
  /** Rows per turn of the loop. */
  readonly block: number;
}

/** The widest head that is kept in straight-line code. */
const MAX_SHARED = 128;

export function attentionForm(adapter: AdapterTraits, headDim: number): AttentionForm {
  const vector = headDim % 4 === 0 ? 4 : 1;
  const shared = isCpuWithSubgroups(adapter) && vector === 4 && headDim <= MAX_SHARED;
  return { headDim, software: adapter.software, vector, shared, lanes: adapter.software ? 8 : 64, block: shared && headDim <= 64 ? 8 : 4 };
}

/** Stands for −∞ before a softmax. */
export const MASKED = '-1e30';

/** The text of one kernel's parts. `E` is the element type, `C` the elements of a head. */
export class AttentionText {
  readonly form: AttentionForm;
  readonly E: 'f32' | 'vec4f';
  readonly C: number;
  constructor(form: AttentionForm) {
    this.form = form;
    this.E = form.vector === 4 ? 'vec4f' : 'f32';
    this.C = form.headDim / form.vector;
  }

  /** `line` for each element of a head: unrolled where broadcasts or registers need constants. */
  each(line: (c: string) => string): string {
    return this.form.shared ? sweep(this.C, line) : this.once(line);
  }

  /**
   * The same for what is done once per thread. On a CPU in a loop whose end its compiler cannot know: it turns every unrolled load into eight
   * with a branch each, and its time grows with the square of that.
   */
  once(line: (c: string) => string): string {
    return this.form.software ? `for (var c = 0u; c < u.elements; c++) { ${line('c')} }` : sweep(this.C, line);
  }

  /** The same, kept apart from its neighbours. */
  piece(line: (c: string) => string): string {
    return this.form.shared ? `if (u.elements > 0u) {\n${this.each(line)}\n}` : this.each(line);
  }

  /** `line` for each row of a block. */
  rows(line: (row: number) => string): string {
    return unroll(this.form.block, line);
  }

  /** Sum of an element's components. */
  total(element: string): string {
    return this.form.vector === 4 ? `dot(${element}, vec4f(1.0))` : element;
  }

  /** Makes row `name` of the buffer, from element `base` on, readable by `element`. */
  load(name: string, buffer: string, base: string): string {
    const loads = unroll(
      Math.ceil(this.C / 8),
      (part) => `let ${name}_${part} = ${buffer}[${name}_at + min(lane + ${part * 8}u, ${this.C - 1}u)];`,
    );
    return `let ${name}_at = ${base};\n${this.form.shared ? loads : ''}`;
  }

  element(name: string, buffer: string, c: string): string {
    const index = Number.parseInt(c, 10);
    return this.form.shared ? `subgroupBroadcast(${name}_${Math.floor(index / 8)}, ${index % 8}u)` : `${buffer}[${name}_at + ${c}]`;
  }

  /** Declares the scalar `result`: the product of function array `own` and row `name`. */
  product(result: string, own: string, name: string, buffer: string): string {
    return `var ${result}_sum = ${this.E}();\n${this.piece((c) => `${result}_sum = fma(${own}[${c}], ${this.element(name, buffer, c)}, ${result}_sum);`)}\nlet ${result} = ${this.total(`${result}_sum`)};`;
  }

  /** `start` plus the rows of a block, each times its scalar. */
  weighted(start: string, terms: readonly (readonly [scalar: string, name: string])[], buffer: string, c: string): string {
    return terms.reduce((sum, [scalar, name]) => `fma(${this.E}(${scalar}), ${this.element(name, buffer, c)}, ${sum})`, start);
  }
}
