/**
 * The form for adapters that are CPUs with subgroups of eight: a workgroup is one subgroup and owns 32 columns of C. Each lane keeps its four
 * columns of a block of B in a function array (plain stack memory where indices are constant); rows of A pass by, eight vec4 at a time, and
 * each value reaches all lanes by a broadcast from a constant lane. No barrier, no loop-carried accumulator, only vec4 loads.
 */
import { defineKernel } from '../kernel.js';
import type { Transposes } from './register-tile.js';

export interface SubgroupForm extends Transposes {
  /** Rows of B held at a time: a divisor of K and a multiple of 32 (8 where A is stored transposed). */
  readonly depth: number;
}

const COMPONENTS = ['x', 'y', 'z', 'w'];
const range = (count: number) => Array.from({ length: count }, (_, i) => i);

/**
 * Fills t[0 .. depth) with rows k0.. of B at this lane's four columns. In a loop whose end the driver cannot know: unrolled, a load is eight
 * scalar loads with a branch each, and a block of 128 takes the driver ten seconds to compile instead of half a second.
 */
function loadBlock({ transposeB }: SubgroupForm): string {
  if (!transposeB) return `for (var k = 0u; k < u.depth; k++) { t[k] = b[b0 + (k0 + k) * N4 + column]; }`;
  // B is stored [N, K]: four vec4 along K, one per column, become four rows by a transposition in registers.
  const rows = range(4).map(
    (i) =>
      `t[k + ${i}u] = vec4f(${range(4)
        .map((j) => `q${j}.${COMPONENTS[i]}`)
        .join(', ')});`,
  );
  return `for (var k = 0u; k < u.depth; k += 4u) {
      ${range(4)
        .map((j) => `let q${j} = b[b0 + (column * 4u + ${j}u) * K4 + (k0 + k) / 4u];`)
        .join('\n      ')}
      ${rows.join('\n      ')}
    }`;
}

/** One row of C per turn: A's row is contiguous along K. */
function rowsOfA({ depth }: SubgroupForm): string {
  return `
    for (var row = first; row < last; row++) {
      ${range(depth / 32)
        .map((j) => `let r${j} = a[a0 + row * K4 + k0 / 4u + ${j * 8}u + lane];`)
        .join('\n      ')}
      var s = vec4f();
      ${range(depth)
        .map(
          (k) =>
            `s = fma(vec4f(subgroupBroadcast(r${Math.floor(k / 32)}.${COMPONENTS[k % 4]}, ${Math.floor((k % 32) / 4)}u)), t[${k}], s);`,
        )
        .join('\n      ')}
      if (mine) {
        let at = c0 + row * N4 + column;
        c[at] = s + select(c[at], vec4f(), k0 == 0u);
      }
    }`;
}

/** Four rows of C per turn: A is stored [K, M], so a vec4 along M feeds four rows at once. */
function columnsOfA({ depth }: SubgroupForm): string {
  const rows = range(4);
  return `
    for (var row = first / 4u; row < last / 4u; row++) {
      ${range(depth / 8)
        .map((j) => `let r${j} = a[a0 + (k0 + ${j * 8}u + lane) * M4 + row];`)
        .join('\n      ')}
      ${rows.map((i) => `var s${i} = vec4f();`).join(' ')}
      ${range(depth)
        .map((k) =>
          rows
            .map((i) => `s${i} = fma(vec4f(subgroupBroadcast(r${Math.floor(k / 8)}.${COMPONENTS[i]}, ${k % 8}u)), t[${k}], s${i});`)
            .join(' '),
        )
        .join('\n      ')}
      if (mine) {
        let at = c0 + row * 4u * N4 + column;
        ${rows.map((i) => `c[at + ${i}u * N4] = s${i} + select(c[at + ${i}u * N4], vec4f(), k0 == 0u);`).join('\n        ')}
      }
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
  let own = group.x * 8u + lane;
  let mine = own < N4;
  let column = min(own, N4 - 1u);
  let first = group.y * u.rows;
  let last = min(first + u.rows, u.M);
  var t: array<vec4f, ${form.depth}>;
  for (var k0 = 0u; k0 < u.K; k0 += ${form.depth}u) {
    ${loadBlock(form)}
    ${form.transposeA ? columnsOfA(form) : rowsOfA(form)}
  }
}`,
});

/** Whether the form takes these sizes. The depth depends on B alone, so a row of C does not depend on the number of rows. */
export function subgroupDepth({ transposeA, transposeB }: Transposes, [M, N, K]: readonly [number, number, number]): number | undefined {
  if (N % 4 !== 0 || K % 4 !== 0) return undefined;
  if (transposeA) return transposeB || M % 4 !== 0 ? undefined : [32, 16, 8].find((depth) => K % depth === 0);
  return [128, 64, 32].find((depth) => K % depth === 0);
}
