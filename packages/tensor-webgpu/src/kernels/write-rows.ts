/** Rows written into a key-value cache in place. */
import { sizeOf } from '../shape.js';
import { defineKernel, type LoweringContext, spread } from './kernel.js';

const LANES = 64;

const writeRowsKernel = defineKernel<object>({
  name: 'write-rows',
  bindings: { cache: 'read_write', rows: 'read', positions: 'read' },
  types: () => ({ positions: 'i32' }),
  uniforms: { count: 'u32', T: 'u32', C: 'u32', D: 'u32', stride: 'u32', column: 'u32' },
  wgsl: () => `
@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * 65535u + group.x) * ${LANES}u + lane;
  if (i >= u.count) { return; }
  let row = i / u.D;
  let d = i - row * u.D;
  let b = row / u.T;
  let position = positions[b] + i32(row - b * u.T);
  if (position < 0 || u32(position) >= u.C) { return; }
  cache[(b * u.C + u32(position)) * u.D + d] = rows[row * u.stride + u.column + d];
}`,
});

export function lowerWriteRows(context: LoweringContext<{ readonly column: number }>): void {
  const [, C, D] = context.outputs[0].shape;
  const [B, T, stride] = context.inputs[1].shape;
  const count = sizeOf([B, T, D]);
  if (count === 0) return;
  context.call(writeRowsKernel, {
    parameters: {},
    bindings: { cache: context.output(0), rows: context.input(1), positions: context.input(2) },
    uniforms: { count, T, C, D, stride, column: context.attributes.column },
    workgroups: spread(Math.ceil(count / LANES)),
  });
}
