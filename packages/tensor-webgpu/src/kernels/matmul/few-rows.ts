/**
 * The subgroup form for a few rows of A, as in decoding: B is read once from memory and goes straight into the sums, which run in the order of
 * the block form, so that both give the same bits.
 */
import { type Epilogue, epilogueText } from '../epilogue.js';
import { defineKernel, type Kernel } from '../kernel.js';
import type { SubgroupForm } from './subgroup.js';

export interface FewRowsForm extends SubgroupForm {
  readonly rows: number;
}

/** More rows than this pay for keeping a block of B. */
export const MAX_FEW_ROWS = 4;

const COMPONENTS = ['x', 'y', 'z', 'w'];
const range = (count: number) => Array.from({ length: count }, (_, i) => i);
const lines = (parts: readonly string[]) => parts.join('\n      ');

/** Declares q{v}_{i}: row k + i of B at this lane's columns. */
function loadRowsOfB({ transposeB, vectors }: SubgroupForm): string {
  return lines(
    range(vectors).flatMap((v) => {
      if (!transposeB) return range(4).map((i) => `let q${v}_${i} = b[b0 + (k * 4u + ${i}u) * N4 + column${v}];`);
      const loads = range(4).map((j) => `let p${v}_${j} = b[b0 + (column${v} * 4u + ${j}u) * K4 + k];`);
      const rows = range(4).map(
        (i) =>
          `let q${v}_${i} = vec4f(${range(4)
            .map((j) => `p${v}_${j}.${COMPONENTS[i]}`)
            .join(', ')});`,
      );
      return [...loads, ...rows];
    }),
  );
}

export function fewRowsKernel(form: FewRowsForm, epilogue: Epilogue | undefined): Kernel<object> {
  const { rows, vectors, depth } = form;
  const finish = epilogueText(epilogue, 4);
  const each = range(rows).flatMap((r) => range(vectors).map((v) => ({ r, v })));
  return defineKernel<object>({
    name: 'matmul-few-rows',
    bindings: { a: 'read', b: 'read', c: 'write', ...finish.bindings },
    types: () => ({ a: 'vec4f', b: 'vec4f', c: 'vec4f', ...finish.types }),
    uniforms: { N: 'u32', K: 'u32' },
    wgsl: () => `${finish.wgsl}
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
  ${lines(each.map(({ r, v }) => `var total${r}_${v} = vec4f();`))}
  for (var k0 = 0u; k0 < K4; k0 += ${depth / 4}u) {
    ${lines(each.map(({ r, v }) => `var s${r}_${v} = vec4f();`))}
    for (var k = k0; k < k0 + ${depth / 4}u; k++) {
      ${loadRowsOfB(form)}
      ${lines(
        range(rows).flatMap((r) => [
          `let x${r} = a[a0 + ${r}u * K4 + k];`,
          ...range(4).flatMap((i) => range(vectors).map((v) => `s${r}_${v} = fma(vec4f(x${r}.${COMPONENTS[i]}), q${v}_${i}, s${r}_${v});`)),
        ]),
      )}
    }
    ${lines(each.map(({ r, v }) => `total${r}_${v} = s${r}_${v} + total${r}_${v};`))}
  }
  ${lines(each.map(({ r, v }) => `if (mine${v}) { let at = c0 + ${r}u * N4 + column${v}; c[at] = finish(total${r}_${v}, at, column${v}); }`))}
}`,
  });
}
