/**
 * The form for adapters that are CPUs with subgroups of eight: a workgroup is one subgroup and owns 32 or 64 columns of C. Each lane keeps its
 * columns of a block of B in a function array (plain stack memory where indices are constant); rows of A pass by, eight vec4 at a time, and
 * each value reaches all lanes by a broadcast from a constant lane. No barrier, no loop-carried accumulator, only vec4 loads.
 */
import { type Epilogue, epilogueText } from '../epilogue.js';
import { defineKernel, type Kernel } from '../kernel.js';
import { columnsOf, type ProductForm, type RightOperand, rightBindings } from './right-operand.js';

export interface SubgroupForm {
  readonly right: RightOperand;
  /** Rows of B held at a time: a divisor of K and a multiple of 32. */
  readonly depth: 32 | 64;
  /** Vectors of four columns per lane: two share each broadcast. */
  readonly vectors: 1 | 2;
}

const COMPONENTS = ['x', 'y', 'z', 'w'];
const range = (count: number) => Array.from({ length: count }, (_, i) => i);
const lines = (parts: readonly string[]) => parts.join('\n      ');

/** Steps along K per piece of straight-line code. */
const PIECE = 16;

/**
 * Fills t with rows k0.. of B at this lane's columns. In a loop whose end the driver cannot know: unrolled, a load is eight scalar loads with a
 * branch each, and a deep block takes the driver ten seconds to compile instead of half a second.
 */
function loadBlock({ right, vectors }: SubgroupForm): string {
  const { steps, group, rows } = columnsOf(right);
  const parts = range(vectors).flatMap((v) => [
    group(v, 'k0 + k'),
    ...rows(v, '(k0 + k) / 4u'),
    ...range(4 * steps).map((i) => `t[(k + ${i}u) * ${vectors}u + ${v}u] = q${v}_${i};`),
  ]);
  return `for (var k = 0u; k < u.depth; k += ${4 * steps}u) {
      ${lines(parts)}
    }`;
}

/**
 * A row of C at a time: sums over the block, added to what earlier blocks left. Eight vec4 of A arrive at a time, one per lane. The code is cut
 * into pieces by branches that are always taken: in one piece the driver's compiler fetches the whole block of B before the first product and
 * spills it to the stack, which halves the speed.
 */
function rowsOfA({ depth, vectors }: SubgroupForm, sums: string): string {
  const loads = range(depth / 32).map((j) => `let r${j} = a[a0 + row * K4 + k0 / 4u + ${j * 8}u + lane];`);
  const term = (k: number) => {
    const products = range(vectors).map((v) => `s${v} = fma(x, t[${k * vectors + v}], s${v});`);
    return `{ let x = vec4f(subgroupBroadcast(r${k >> 5}.${COMPONENTS[k % 4]}, ${(k % 32) >> 2}u)); ${products.join(' ')} }`;
  };
  const pieces = range(depth / PIECE).map(
    (i) => `if (u.depth > 0u) {\n      ${lines(range(PIECE).map((k) => term(i * PIECE + k)))}\n      }`,
  );
  const stores = range(vectors).map(
    (v) => `if (mine${v}) {
      let at = c0 + row * N4 + column${v};
      let sum = s${v} + select(${sums}[at], vec4f(), k0 == 0u);
      if (k0 + u.depth < u.K) { ${sums}[at] = sum; } else { c[at] = finish(sum, at, column${v}); }
      }`,
  );
  return `
    for (var row = first; row < last; row++) {
      ${lines([...loads, ...range(vectors).map((v) => `var s${v} = vec4f();`), ...pieces, ...stores])}
    }`;
}

/** @param sums the binding that holds sums between blocks: C itself, or f32 scratch where C is f16 */
export function subgroupKernel(form: SubgroupForm, epilogue: Epilogue | undefined, sums: 'c' | 'sums'): Kernel<object> {
  const finish = epilogueText(epilogue, 4);
  return defineKernel<object>({
    name: 'matmul-subgroup',
    bindings: {
      a: 'read',
      ...rightBindings(form.right),
      c: 'write',
      ...(sums === 'sums' ? { sums: 'read_write' } : {}),
      ...finish.bindings,
    },
    types: () => ({ a: 'vec4f', ...columnsOf(form.right).types, c: 'vec4f', sums: 'vec4f', ...finish.types }),
    uniforms: { M: 'u32', N: 'u32', K: 'u32', rows: 'u32', depth: 'u32' },
    subgroups: () => true,
    wgsl: () => `${finish.wgsl}
@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let N4 = u.N / 4u;
  let K4 = u.K / 4u;
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
  ${lines(range(form.vectors).map(columnsOf(form.right).before))}
  let first = group.y * u.rows;
  let last = min(first + u.rows, u.M);
  var t: array<vec4f, ${form.depth * form.vectors}>;
  for (var k0 = 0u; k0 < u.K; k0 += ${form.depth}u) {
    ${loadBlock(form)}
    ${rowsOfA(form, sums)}
  }
}`,
  });
}

/**
 * The form for these sizes; undefined where it does not take them. It depends on N and K alone, so a row of C does not depend on how many there
 * are. A is stored [M, K]: where it is not, {@link transposeKernel} comes first.
 */
export function subgroupForm({ transposeA, right }: ProductForm, [M, N, K]: readonly [number, number, number]): SubgroupForm | undefined {
  if (N % 4 !== 0 || K % 32 !== 0 || (transposeA && M % 4 !== 0)) return undefined;
  return { right, depth: K % 64 === 0 ? 64 : 32, vectors: N % 64 === 0 || N > 256 ? 2 : 1 };
}

/** [K, M] to [M, K], in squares of four by four, each batch by itself: M and K are multiples of four. */
export const transposeKernel = defineKernel<object>({
  name: 'matmul-transpose',
  bindings: { a: 'read', y: 'write' },
  types: () => ({ a: 'vec4f', y: 'vec4f' }),
  uniforms: { M: 'u32', K: 'u32', count: 'u32' },
  wgsl: () => `
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * 65535u + group.x) * 64u + lane;
  if (i >= u.count) { return; }
  let M4 = u.M / 4u;
  let K4 = u.K / 4u;
  let batch = i / (M4 * K4);
  let rest = i - batch * M4 * K4;
  let m = rest / K4;
  let k = rest - m * K4;
  let source = (batch * u.K + k * 4u) * M4 + m;
  let square = transpose(mat4x4f(a[source], a[source + M4], a[source + 2u * M4], a[source + 3u * M4]));
  let target_ = (batch * u.M + m * 4u) * K4 + k;
  ${range(4)
    .map((j) => `y[target_ + ${j}u * K4] = square[${j}];`)
    .join('\n  ')}
}`,
});
