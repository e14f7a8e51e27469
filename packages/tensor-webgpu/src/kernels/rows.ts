/**
 * Rows gathered and added, in one dispatch: of tables by id, of quantised matrices, and rows that lie packed as a store keeps them. What an
 * embedding is made of.
 */
import { BYTES_PER_ELEMENT, COMPUTE_TYPE } from '../dtype.js';
import type { QuantizedFormat } from '../quantize.js';
import { sizeOf } from '../shape.js';
import { type Epilogue, epilogueBindings, epilogueText } from './epilogue.js';
import { defineKernel, type Kernel, type LoweringContext, partsOf, spread, type ValueRef } from './kernel.js';
import { type PackedRowDtype, packedRowFunction } from './packed-rows.js';
import { weightFunction } from './quantized.js';

const LANES = 64;

/**
 * A term of the sum, and the inputs it takes: `table` and `quantized` ids, last, zeros where one is below zero; a whole quantised matrix and
 * packed rows give one row per position.
 */
export type RowTerm =
  | { readonly kind: 'table' }
  | { readonly kind: 'quantized'; readonly format: QuantizedFormat; readonly ids: boolean }
  | { readonly kind: 'packed'; readonly dtype: PackedRowDtype };

/** How many inputs a term takes. */
export function operandsOf(term: RowTerm): number {
  return term.kind === 'packed' ? 1 : term.kind === 'table' || !term.ids ? 2 : 3;
}

/** Names of a term's bindings, in the order of its inputs. */
function namesOf(term: RowTerm, i: number): string[] {
  if (term.kind === 'packed') return [`words${i}`];
  if (term.kind === 'table') return [`table${i}`, `ids${i}`];
  return [`words${i}`, `scales${i}`, ...(term.ids ? [`ids${i}`] : [])];
}

interface RowsForm {
  readonly terms: readonly RowTerm[];
  /** Elements of a row per thread. */
  readonly vector: 1 | 4;
  readonly type: 'f32' | 'i32' | 'u32';
  /** Whether the sum is added to what is there: a table larger than a binding comes in parts. */
  readonly adds: boolean;
}

/** Declares row{i}: the elements of a term at `position` and `column`. */
function rowText(term: RowTerm, i: number, vector: 1 | 4, element: string): string {
  /** Four neighbours by a function of one. */
  const each = (value: (column: string) => string) =>
    vector === 1 ? value('column') : `vec4f(${[0, 1, 2, 3].map((j) => value(`column * 4u + ${j}u`)).join(', ')})`;
  if (term.kind === 'packed') return `let row${i} = ${each((column) => `packed${i}(position, ${column})`)};`;
  const id = `let id${i} = ${term.kind === 'table' || term.ids ? `ids${i}[position]` : 'i32(position)'};`;
  if (term.kind === 'table')
    return `${id}
  let mine${i} = id${i} >= 0 && u32(id${i}) >= u.first${i} && u32(id${i}) - u.first${i} < u.rows${i};
  let row${i} = select(${element}(), table${i}[select(0u, u32(id${i}) - u.first${i}, mine${i}) * width + column], mine${i});`;
  return `${id}
  let mine${i} = id${i} >= 0 && u32(id${i}) < u.rows${i};
  let at${i} = select(0u, u32(id${i}), mine${i});
  let row${i} = select(${element}(), ${each((column) => `weight${i}(at${i}, ${column})`)}, mine${i});`;
}

function rowsKernel({ terms, vector, type, adds }: RowsForm, epilogue: Epilogue | undefined): Kernel<object> {
  const finish = epilogue === undefined ? undefined : epilogueText(epilogue, vector);
  const element = vector === 4 ? `vec4<${type}>` : type;
  const bindings: Record<string, 'read'> = {};
  const types: Record<string, string> = {};
  const uniforms: Record<string, 'u32'> = { count: 'u32', D: 'u32' };
  const functions: string[] = [];
  terms.forEach((term, i) => {
    for (const name of namesOf(term, i)) bindings[name] = 'read';
    types[`table${i}`] = element;
    types[`ids${i}`] = 'i32';
    types[`words${i}`] = 'u32';
    if (term.kind === 'packed') functions.push(packedRowFunction(term.dtype, 'u.D', String(i)));
    else {
      if (term.kind === 'quantized') functions.push(weightFunction(term.format, 'u.D', String(i)));
      else uniforms[`first${i}`] = 'u32';
      uniforms[`rows${i}`] = 'u32';
    }
  });
  const sum = terms.map((_, i) => `row${i}`).join(' + ');
  return defineKernel<object>({
    name: terms.length === 1 ? 'gather-rows' : 'sum-of-rows',
    bindings: { ...bindings, y: adds ? 'read_write' : 'write', ...finish?.bindings },
    types: () => ({ ...types, y: element, ...finish?.types }),
    uniforms,
    wgsl: () => `${functions.join('\n')}
${finish?.wgsl ?? ''}
@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * 65535u + group.x) * ${LANES}u + lane;
  if (i >= u.count) { return; }
  let width = u.D / ${vector}u;
  let position = i / width;
  let column = i - position * width;
  ${terms.map((term, t) => rowText(term, t, vector, element)).join('\n  ')}
  let sum = ${adds ? `y[i] + ${sum}` : sum};
  y[i] = ${finish === undefined ? 'sum' : 'finish(sum, i, column)'};
}`,
  });
}

/** The output is the sum of `terms`, whose inputs are the op's, in order. */
export function lowerSumOfRows(context: LoweringContext, terms: readonly RowTerm[]): void {
  const [{ shape, dtype }] = context.outputs;
  const D = shape[shape.length - 1];
  const vector = D % 4 === 0 ? 4 : 1;
  const count = sizeOf(shape) / vector;
  if (count === 0) return;
  let next = 0;
  const all = terms.map((term) => {
    const first = next;
    next += operandsOf(term);
    return { term, operands: Array.from({ length: operandsOf(term) }, (_, i) => first + i), ...rowsOf(context, term, first) };
  });
  /** Terms with the parts of their tables that are bound, in one dispatch. */
  const dispatch = (some: readonly { term: RowTerm; operands: readonly number[]; start: number; rows: number }[], adds: boolean) => {
    const bindings: Record<string, ValueRef> = {};
    const uniforms: Record<string, number> = { count, D };
    some.forEach(({ term, operands, start, rows }, i) => {
      namesOf(term, i).forEach((name, o) => {
        bindings[name] = context.input(operands[o]);
      });
      if (term.kind === 'packed') return;
      uniforms[`rows${i}`] = rows;
      if (term.kind !== 'table') return;
      uniforms[`first${i}`] = start;
      bindings[`table${i}`] = { ...context.input(operands[0]), range: { start: start * D, count: rows * D } };
    });
    context.call(rowsKernel({ terms: some.map(({ term }) => term), vector, type: COMPUTE_TYPE[dtype], adds }, context.epilogue), {
      parameters: {},
      bindings: { ...bindings, y: context.output(0), ...epilogueBindings(context.epilogue) },
      uniforms,
      workgroups: spread(Math.ceil(count / LANES)),
    });
  };
  const maxElements = context.adapter.maxBindingBytes / BYTES_PER_ELEMENT[dtype];
  if (all.every(({ term, rows }) => term.kind !== 'table' || rows * D <= maxElements)) {
    dispatch(
      all.map((one) => ({ ...one, start: 0 })),
      false,
    );
    return;
  }
  all.forEach((one, t) => {
    const parts = one.term.kind === 'table' ? partsOf(one.rows, D, maxElements) : [{ start: 0, count: one.rows }];
    parts.forEach(({ start, count: rows }, p) => {
      dispatch([{ ...one, start, rows }], t + p > 0);
    });
  });
}

/** Rows of a term's table. */
function rowsOf(context: LoweringContext, term: RowTerm, first: number): { readonly rows: number } {
  const [rows, , four] = context.inputs[first].shape;
  return { rows: term.kind === 'quantized' ? rows * four : rows };
}
