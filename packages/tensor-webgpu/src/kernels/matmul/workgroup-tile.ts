/** The form for GPUs: a workgroup computes a 64 × 64 tile of C from tiles of A and B in workgroup memory, each thread 4 × 4 of it. */
import { type Epilogue, epilogueText } from '../epilogue.js';
import { defineKernel, type Kernel } from '../kernel.js';
import type { Transposes } from './register-tile.js';

const TILE = 64;
const DEPTH = 16;
const SIDE = [0, 1, 2, 3];

export function workgroupTileKernel({ transposeA, transposeB }: Transposes, epilogue: Epilogue | undefined): Kernel<object> {
  const finish = epilogueText(epilogue, 1);
  return defineKernel<object>({
    name: 'matmul-workgroup-tile',
    bindings: { a: 'read', b: 'read', c: 'write', ...finish.bindings },
    types: () => finish.types,
    uniforms: { M: 'u32', N: 'u32', K: 'u32' },
    wgsl: () => `${finish.wgsl}
var<workgroup> tileA: array<f32, ${TILE * DEPTH}>;  // [k][row]
var<workgroup> tileB: array<f32, ${TILE * DEPTH}>;  // [k][column]
@compute @workgroup_size(16, 16)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row0 = group.y * ${TILE}u;
  let column0 = group.x * ${TILE}u;
  let a0 = group.z * u.M * u.K;
  let b0 = group.z * u.K * u.N;
  ${SIDE.map((i) => `var s${i} = vec4f();`).join(' ')}
  for (var k0 = 0u; k0 < u.K; k0 += ${DEPTH}u) {
    for (var i = lane; i < ${TILE * DEPTH}u; i += 256u) {
      // Neighbouring lanes read neighbouring addresses, whichever way the operand is stored.
      let ka = ${transposeA ? `i / ${TILE}u` : `i % ${DEPTH}u`}; let m = ${transposeA ? `i % ${TILE}u` : `i / ${DEPTH}u`};
      let inA = row0 + m < u.M && k0 + ka < u.K;
      tileA[ka * ${TILE}u + m] = select(0.0, a[a0 + select(0u, ${transposeA ? '(k0 + ka) * u.M + row0 + m' : '(row0 + m) * u.K + k0 + ka'}, inA)], inA);
      let kb = ${transposeB ? `i % ${DEPTH}u` : `i / ${TILE}u`}; let n = ${transposeB ? `i / ${DEPTH}u` : `i % ${TILE}u`};
      let inB = column0 + n < u.N && k0 + kb < u.K;
      tileB[kb * ${TILE}u + n] = select(0.0, b[b0 + select(0u, ${transposeB ? '(column0 + n) * u.K + k0 + kb' : '(k0 + kb) * u.N + column0 + n'}, inB)], inB);
    }
    workgroupBarrier();
    for (var k = 0u; k < ${DEPTH}u; k++) {
      let at = k * ${TILE}u + local.x * 4u;
      let right = vec4f(tileB[at], tileB[at + 1u], tileB[at + 2u], tileB[at + 3u]);
      ${SIDE.map((i) => `s${i} = fma(vec4f(tileA[k * ${TILE}u + local.y * 4u + ${i}u]), right, s${i});`).join('\n      ')}
    }
    workgroupBarrier();
  }
  let c0 = group.z * u.M * u.N;
  let row = row0 + local.y * 4u;
  let column = column0 + local.x * 4u;
  ${SIDE.map(
    (i) => `if (row + ${i}u < u.M) {
    ${SIDE.map((j) => `if (column + ${j}u < u.N) { let at = c0 + (row + ${i}u) * u.N + column + ${j}u; c[at] = finish(s${i}[${j}], at, column + ${j}u); }`).join('\n    ')}
  }`,
  ).join('\n  ')}
}`,
  });
}
