/** The form for GPUs: a workgroup computes a square tile of C from tiles of A and B in workgroup memory, each of 256 threads a square of it. */
import { type Epilogue, epilogueText } from '../epilogue.js';
import { defineKernel, type Kernel } from '../kernel.js';
import { elementsOf, type ProductForm, rightBindings } from './right-operand.js';

/** Rows and columns of C per workgroup: small tiles for small matrices, large ones read less memory. */
export type TileSize = 32 | 64 | 128;

const DEPTH = 16;
const THREADS = 16;

export function workgroupTileKernel({ transposeA, right }: ProductForm, tile: TileSize, epilogue: Epilogue | undefined): Kernel<object> {
  const finish = epilogueText(epilogue, 1);
  const { types, functions, element } = elementsOf(right);
  const alongN = right === 'plain';
  // Rows of a thread are neighbours; its columns lie 16 apart, so that neighbouring threads read and write neighbouring addresses.
  const each = Array.from({ length: tile / THREADS }, (_, i) => i);
  return defineKernel<object>({
    name: 'matmul-workgroup-tile',
    bindings: { a: 'read', ...rightBindings(right), c: 'write', ...finish.bindings },
    types: () => ({ ...types, ...finish.types }),
    uniforms: { M: 'u32', N: 'u32', K: 'u32' },
    wgsl: () => `${finish.wgsl}${functions}
var<workgroup> tileA: array<f32, ${tile * DEPTH}>;  // [k][row]
var<workgroup> tileB: array<f32, ${tile * DEPTH}>;  // [k][column]
@compute @workgroup_size(${THREADS}, ${THREADS})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row0 = group.y * ${tile}u;
  let column0 = group.x * ${tile}u;
  let a0 = group.z * u.M * u.K;
  let b0 = group.z * u.K * u.N;
  ${each.flatMap((i) => each.map((j) => `var s${i}_${j} = 0.0;`)).join(' ')}
  for (var k0 = 0u; k0 < u.K; k0 += ${DEPTH}u) {
    for (var i = lane; i < ${tile * DEPTH}u; i += 256u) {
      // Neighbouring lanes read neighbouring addresses, whichever way the operand is stored.
      let ka = ${transposeA ? `i / ${tile}u` : `i % ${DEPTH}u`}; let m = ${transposeA ? `i % ${tile}u` : `i / ${DEPTH}u`};
      let inA = row0 + m < u.M && k0 + ka < u.K;
      tileA[ka * ${tile}u + m] = select(0.0, a[a0 + select(0u, ${transposeA ? '(k0 + ka) * u.M + row0 + m' : '(row0 + m) * u.K + k0 + ka'}, inA)], inA);
      let kb = ${alongN ? `i / ${tile}u` : `i % ${DEPTH}u`}; let n = ${alongN ? `i % ${tile}u` : `i / ${DEPTH}u`};
      let inB = column0 + n < u.N && k0 + kb < u.K;
      tileB[kb * ${tile}u + n] = select(0.0, ${element('min(k0 + kb, u.K - 1u)', 'min(column0 + n, u.N - 1u)')}, inB);
    }
    workgroupBarrier();
    for (var k = 0u; k < ${DEPTH}u; k++) {
      ${each.map((j) => `let right${j} = tileB[k * ${tile}u + local.x + ${j * THREADS}u];`).join(' ')}
      ${each
        .map(
          (i) =>
            `{ let left = tileA[k * ${tile}u + local.y * ${each.length}u + ${i}u]; ${each.map((j) => `s${i}_${j} = fma(left, right${j}, s${i}_${j});`).join(' ')} }`,
        )
        .join('\n      ')}
    }
    workgroupBarrier();
  }
  let c0 = group.z * u.M * u.N;
  let row = row0 + local.y * ${each.length}u;
  let column = column0 + local.x;
  ${each
    .map(
      (i) => `if (row + ${i}u < u.M) {
    ${each.map((j) => `if (column + ${j * THREADS}u < u.N) { let at = c0 + (row + ${i}u) * u.N + column + ${j * THREADS}u; c[at] = finish(s${i}_${j}, at, column + ${j * THREADS}u); }`).join('\n    ')}
  }`,
    )
    .join('\n  ')}
}`,
  });
}
