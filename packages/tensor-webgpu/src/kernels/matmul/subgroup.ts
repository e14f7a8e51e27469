/**
 * The form for adapters that are CPUs with subgroups of eight: a workgroup is one subgroup and owns 32 or 64 columns of C. Each lane keeps its
 * columns of a block of B in a function array (plain stack memory where indices are constant); rows of A pass by, eight vec4 at a time, and
 * each value reaches all lanes by a broadcast from a constant lane. No barrier, no loop-carried accumulator, only vec4 loads.
 */
import { defineKernel } from '../kernel.js';
import type { Transposes } from './register-tile.js';

export interface SubgroupForm extends Transposes {
  /** Rows of B held at a time: a divisor of K and a multiple of 32 (8 where A is stored transposed). */
  readonly depth: number;
  /** Vectors of four columns per lane: two share each broadcast. */
  readonly vectors: 1 | 2;
}

const COMPONENTS = ['x', 'y', 'z', 'w'];
const range = (count: number) => Array.from({ length: count }, (_, i) => i);
const lines = (parts: readonly string[]) => parts.join('\n      ');

/**
 * Fills t with rows k0.. of B at this lane's columns. In a loop whose end the driver cannot know: unrolled, a load is eight scalar loads with a
 * branch each, and a deep block takes the driver ten seconds to compile instead of half a second.
 */
function loadBlock({ transposeB, vectors }: SubgroupForm): string {
  const each = range(vectors);
  if (!transposeB) {
    const loads = each.map((v) => `t[k * ${vectors}u + ${v}u] = b[b0 + (k0 + k) * N4 + column${v}];`);
    return `for (var k = 0u; k < u.depth; k++) { ${loads.join(' ')} }`;
  }
  // B is stored [N, K]: four vec4 along K, one per column, become four rows by a transposition in registers.
  const parts = each.flatMap((v) => [
    ...range(4).map((j) => `let q${v}_${j} = b[b0 + (column${v} * 4u + ${j}u) * K4 + (k0 + k) / 4u];`),
    ...range(4).map((i) => {
      const row = range(4).map((j) => `q${v}_${j}.${COMPONENTS[i]}`);
      return `t[(k + ${i}u) * ${vectors}u + ${v}u] = vec4f(${row.join(', ')});`;
    }),
  ]);
  return `for (var k = 0u; k < u.depth; k += 4u) {
      ${lines(parts)}
    }`;
}

/** `rows` rows of C: sums over the block, then added to what earlier blocks left. `value` is the text of A at a row and k, in all lanes. */
function sumRows({ depth, vectors }: SubgroupForm, rows: number, value: (row: number, k: number) => string): string {
  const sums = range(rows).flatMap((r) => range(vectors).map((v) => ({ r, v })));
  const terms = range(depth).flatMap((k) =>
    range(rows).map((r) => {
      const products = range(vectors).map((v) => `s${r}_${v} = fma(x, t[${k * vectors + v}], s${r}_${v});`);
      return `{ let x = vec4f(${value(r, k)}); ${products.join(' ')} }`;
    }),
  );
  const stores = sums.map(
    ({ r, v }) =>
      `if (row + ${r}u < last && mine${v}) { let at = c0 + (row + ${r}u) * N4 + column${v}; c[at] = s${r}_${v} + select(c[at], vec4f(), k0 == 0u); }`,
  );
  return lines([...sums.map(({ r, v }) => `var s${r}_${v} = vec4f();`), ...terms, ...stores]);
}

/** Two rows of C per turn: A's rows are contiguous along K. */
function rowsOfA(form: SubgroupForm): string {
  const loads = range(2).flatMap((r) =>
    range(form.depth / 32).map((j) => `let r${r}_${j} = a[a0 + min(row + ${r}u, u.M - 1u) * K4 + k0 / 4u + ${j * 8}u + lane];`),
  );
  const value = (r: number, k: number) => `subgroupBroadcast(r${r}_${k >> 5}.${COMPONENTS[k % 4]}, ${(k % 32) >> 2}u)`;
  return `
    for (var row = first; row < last; row += 2u) {
      ${lines(loads)}
      ${sumRows(form, 2, value)}
    }`;
}

/** Four rows of C per turn: A is stored [K, M], so a vec4 along M feeds four rows at once. */
function columnsOfA(form: SubgroupForm): string {
  const loads = range(form.depth / 8).map((j) => `let r${j} = a[a0 + (k0 + ${j * 8}u + lane) * M4 + row / 4u];`);
  const value = (r: number, k: number) => `subgroupBroadcast(r${k >> 3}.${COMPONENTS[r]}, ${k % 8}u)`;
  return `
    for (var row = first; row < last; row += 4u) {
      ${lines(loads)}
      ${sumRows(form, 4, value)}
    }`;
}

export const subgroupKernel = defineKernel<SubgroupForm>({
  name: 'matmul-subgroup',
  bindings: { a: 'read', b: 'read', c: 'write' },
  types: () => ({ a: 'vec4f', b: 'vec4f', c: 'vec4f' }),
  uniforms: { M: 'u32', N: 'u32', K: 'u32', rows: 'u32', depth: 'u32' },
  subgroups: () => true,
  wgsl: (form) => `
@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let N4 = u.N / 4u;
  let K4 = u.K / 4u;
  let M4 = u.M / 4u;
  let a0 = group.z * u.M * K4;
  let b0 = group.z * u.K * N4;
  let c0 = group.z * u.M * N4;
  ${range(form.vectors)
    .map(
      (v) => `let own${v} = group.x * ${8 * form.vectors}u + ${8 * v}u + lane;
  let mine${v} = own${v} < N4;
  let column${v} = min(own${v}, N4 - 1u);`,
    )
    .join('\n  ')}
  let first = group.y * u.rows;
  let last = min(first + u.rows, u.M);
  var t: array<vec4f, ${form.depth * form.vectors}>;
  for (var k0 = 0u; k0 < u.K; k0 += ${form.depth}u) {
    ${loadBlock(form)}
    ${form.transposeA ? columnsOfA(form) : rowsOfA(form)}
  }
}`,
});

/** The form for these sizes; undefined where it does not take them. It depends on N and K alone, so a row of C does not depend on how many there are. */
export function subgroupForm(
  { transposeA, transposeB }: Transposes,
  [M, N, K]: readonly [number, number, number],
): SubgroupForm | undefined {
  if (N % 4 !== 0 || K % 4 !== 0 || (transposeA && (transposeB || M % 4 !== 0))) return undefined;
  const depth = (transposeA ? [32, 16, 8] : [64, 32]).find((block) => K % block === 0);
  return depth === undefined ? undefined : { transposeA, transposeB, depth, vectors: N % 64 === 0 || N > 256 ? 2 : 1 };
}
