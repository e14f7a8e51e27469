/** The form that takes every shape: each thread computes a 4 × 4 tile of C from scalar loads, with bounds checked. */
import { type Epilogue, epilogueText } from '../epilogue.js';
import { defineKernel, type Kernel } from '../kernel.js';
import { elementsOf, type ProductForm, rightBindings } from './right-operand.js';

const SIDE = [0, 1, 2, 3];

export function registerTileKernel({ transposeA, right }: ProductForm, epilogue: Epilogue | undefined): Kernel<object> {
  const finish = epilogueText(epilogue, 1);
  const { types, functions, element } = elementsOf(right);
  return defineKernel<object>({
    name: 'matmul-register-tile',
    bindings: { a: 'read', ...rightBindings(right), c: 'write', ...finish.bindings },
    types: () => ({ ...types, ...finish.types }),
    uniforms: { M: 'u32', N: 'u32', K: 'u32' },
    wgsl: () => `${finish.wgsl}${functions}
@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.y * 4u;
  let column = id.x * 4u;
  if (row >= u.M || column >= u.N) { return; }
  let a0 = id.z * u.M * u.K;
  let b0 = id.z * u.K * u.N;
  ${SIDE.map((i) => `let m${i} = min(row + ${i}u, u.M - 1u); let n${i} = min(column + ${i}u, u.N - 1u); var s${i} = vec4f();`).join('\n  ')}
  for (var k = 0u; k < u.K; k++) {
    let right = vec4f(${SIDE.map((j) => element('k', `n${j}`)).join(', ')});
    ${SIDE.map((i) => `s${i} = fma(vec4f(a[a0 + ${transposeA ? `k * u.M + m${i}` : `m${i} * u.K + k`}]), right, s${i});`).join('\n    ')}
  }
  let c0 = id.z * u.M * u.N;
  ${SIDE.map(
    (i) => `if (row + ${i}u < u.M) {
    ${SIDE.map((j) => `if (column + ${j}u < u.N) { let at = c0 + (row + ${i}u) * u.N + column + ${j}u; c[at] = finish(s${i}[${j}], at, column + ${j}u); }`).join('\n    ')}
  }`,
  ).join('\n  ')}
}`,
  });
}
