/**
 * The subgroup form for a few rows of A, as in decoding: B is read once from memory and goes straight into the sums, which run in the order of
 * the block form, so that both give the same bits.
 */
import { type Epilogue, epilogueText } from '../epilogue.js';
import { defineKernel, type Kernel, type RowNorm } from '../kernel.js';
import { normalizeRow } from '../layer-norm.js';
import { scaleRow } from '../rms-norm.js';
import { loadRow, type RowForm } from '../row-form.js';
import { columnsOf, rightBindings } from './right-operand.js';
import type { SubgroupForm } from './subgroup.js';

export interface FewRowsForm extends SubgroupForm {
  readonly rows: number;
}

/** More rows than this pay for keeping a block of B. */
export const MAX_FEW_ROWS = 4;

const COMPONENTS = ['x', 'y', 'z', 'w'];
const range = (count: number) => Array.from({ length: count }, (_, i) => i);
const lines = (parts: readonly string[]) => parts.join('\n      ');

/** The rows of A: as they are stored, or normalised as they are read, in the arithmetic of the norm's own kernel. */
interface RowsText {
  readonly bindings: Readonly<Record<string, 'read'>>;
  readonly types: Readonly<Record<string, string>>;
  readonly uniforms: Readonly<Record<string, 'f32'>>;
  readonly functions: string;
  /** Declares what the vectors of row r need. */
  before(row: number): string;
  /** A vec4 of row r. */
  vector(row: number, at: string): string;
}

const storedRows: RowsText = {
  bindings: {},
  types: {},
  uniforms: {},
  functions: '',
  before: () => '',
  vector: (row, at) => `a[a0 + ${row}u * K4 + ${at}]`,
};

/** The norm that A's rows pass, and how a row lies in registers while its statistics are taken. */
interface NormForm {
  readonly norm: RowNorm;
  readonly row: RowForm;
}

function normalizedRows({ norm, row }: NormForm): RowsText {
  const isLayer = norm === 'layer';
  return {
    bindings: { weight: 'read', ...(isLayer && { bias: 'read' as const }) },
    types: { weight: 'vec4f', ...(isLayer && { bias: 'vec4f' }) },
    uniforms: { eps: 'f32' },
    // Mean and scale.
    functions: `fn statistics(at: u32, lane: u32) -> vec2f {
    ${loadRow(row, 'x', 'at', 'a')}
    ${isLayer ? normalizeRow(row, 'u.K') : scaleRow(row, 'u.K')}
    return vec2f(${isLayer ? 'mean' : '0.0'}, r);
}`,
    before: (r) => `let statistics${r} = statistics(a0 + ${r}u * K4, lane);`,
    vector: (r, at) => {
      const x = `a[a0 + ${r}u * K4 + ${at}]`;
      const scaled = `${isLayer ? `(${x} - statistics${r}.x)` : x} * statistics${r}.y * weight[${at}]`;
      return isLayer ? `${scaled} + bias[${at}]` : scaled;
    },
  };
}

export function fewRowsKernel(form: FewRowsForm, epilogue: Epilogue | undefined, normalized: NormForm | undefined): Kernel<object> {
  const { rows, vectors, depth, right } = form;
  const columns = columnsOf(right);
  const finish = epilogueText(epilogue, 4);
  const source = normalized === undefined ? storedRows : normalizedRows(normalized);
  const each = range(rows).flatMap((r) => range(vectors).map((v) => ({ r, v })));
  return defineKernel<object>({
    name: normalized === undefined ? 'matmul-few-rows' : 'matmul-few-rows-normalized',
    bindings: { a: 'read', ...rightBindings(right), c: 'write', ...source.bindings, ...finish.bindings },
    types: () => ({ a: 'vec4f', ...columns.types, c: 'vec4f', ...source.types, ...finish.types }),
    uniforms: { N: 'u32', K: 'u32', lanes: 'u32', ...source.uniforms },
    subgroups: () => true,
    wgsl: () => `${finish.wgsl}
${source.functions}
@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let N4 = u.N / 4u;
  let K4 = u.K / 4u;
  let a0 = group.z * ${rows}u * K4;
  let b0 = group.z * u.K * N4;
  let c0 = group.z * ${rows}u * N4;
  ${range(vectors)
    .map(
      (v) => `let own${v} = group.x * ${8 * vectors}u + ${8 * v}u + lane;
  let mine${v} = own${v} < N4;
  let column${v} = min(own${v}, N4 - 1u);`,
    )
    .join('\n  ')}
  ${lines(range(vectors).map(columns.before))}
  ${lines(range(rows).map(source.before))}
  ${lines(each.map(({ r, v }) => `var total${r}_${v} = vec4f();`))}
  for (var k0 = 0u; k0 < K4; k0 += ${depth / 4}u) {
    ${lines(each.map(({ r, v }) => `var s${r}_${v} = vec4f();`))}
    for (var k1 = k0; k1 < k0 + ${depth / 4}u; k1 += u.lanes) {
      // Eight vec4 of a row arrive at a time, one per lane: loaded by all lanes, each would cost as much as a row of B. The driver would unroll a
      // loop whose end it knows, and the code would outgrow the cache of instructions.
      ${lines(range(rows).map((r) => `let x${r} = ${source.vector(r, 'k1 + lane')};`))}
      ${lines(range(vectors).map((v) => columns.group(v, 'k1 * 4u')))}
      for (var j = 0u; j < u.lanes; j += ${columns.steps}u) {
        let k = k1 + j;
        ${lines(range(vectors).flatMap((v) => columns.rows(v, 'k')))}
        ${lines(
          range(rows).flatMap((r) =>
            range(4 * columns.steps).map(
              (i) =>
                `{ let x = vec4f(subgroupShuffle(x${r}.${COMPONENTS[i % 4]}, j + ${i >> 2}u)); ${range(vectors)
                  .map((v) => `s${r}_${v} = fma(x, q${v}_${i}, s${r}_${v});`)
                  .join(' ')} }`,
            ),
          ),
        )}
      }
    }
    ${lines(each.map(({ r, v }) => `total${r}_${v} = s${r}_${v} + total${r}_${v};`))}
  }
  ${lines(each.map(({ r, v }) => `if (mine${v}) { let at = c0 + ${r}u * N4 + column${v}; c[at] = finish(total${r}_${v}, at, column${v}); }`))}
}`,
  });
}
