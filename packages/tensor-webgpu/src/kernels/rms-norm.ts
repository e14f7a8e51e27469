/** RMS norm: rows are normalised by one subgroup or workgroup each. */
import { sizeOf } from '../shape.js';
import { defineKernel, type LoweringContext, spread } from './kernel.js';
import { loadRow, type RowForm, rowForm, rowSum, rowsPerSubgroup, storeRow } from './row-form.js';
import { LANES, WORKGROUP_SUM } from './workgroup-sum.js';

/** Declares the scale r of the row x0 .., `width` elements wide; the uniform `eps` is needed. */
export const scaleRow = ({ vectors }: RowForm, width = 'u.width') =>
  `let r = inverseSqrt(${rowSum(vectors, (v) => `dot(x${v}, x${v})`)} / f32(${width}) + u.eps);`;

const subgroupKernel = defineKernel<RowForm>({
  name: 'rms-norm-subgroup',
  bindings: { x: 'read', weight: 'read', y: 'write' },
  types: () => ({ x: 'vec4f', weight: 'vec4f', y: 'vec4f' }),
  uniforms: { rows: 'u32', width: 'u32', chunk: 'u32', eps: 'f32' },
  subgroups: () => true,
  wgsl: (form) => `
@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = (group.y * 65535u + group.x) * u.chunk;
  let W4 = u.width / 4u;
  ${loadRow(form, 'weight', '0u')}
  for (var row = first; row < min(first + u.chunk, u.rows); row++) {
    let at = row * W4;
    ${loadRow(form, 'x', 'at')}
    ${scaleRow(form)}
    ${storeRow(form, 'y', 'at', (v) => `x${v} * r * weight${v}`)}
  }
}`,
});

const workgroupKernel = defineKernel({
  name: 'rms-norm',
  bindings: { x: 'read', weight: 'read', y: 'write' },
  uniforms: { rows: 'u32', width: 'u32', eps: 'f32' },
  wgsl: () => `${WORKGROUP_SUM}
@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.y * 65535u + group.x;
  if (row >= u.rows) { return; }
  let at = row * u.width;
  var squares = 0.0;
  for (var i = lane; i < u.width; i += ${LANES}u) { squares += x[at + i] * x[at + i]; }
  let r = inverseSqrt(total(squares, lane) / f32(u.width) + u.eps);
  for (var i = lane; i < u.width; i += ${LANES}u) { y[at + i] = x[at + i] * r * weight[i]; }
}`,
});

export function lowerRmsNorm(context: LoweringContext<{ readonly eps: number }>): void {
  const { shape } = context.inputs[0];
  const width = shape[shape.length - 1];
  const rows = sizeOf(shape.slice(0, -1));
  const { eps } = context.attributes;
  if (rows * width === 0) return;
  const bindings = { x: context.input(0), weight: context.input(1), y: context.output(0) };
  const form = rowForm(context.adapter, width);
  if (form !== undefined) {
    const chunk = rowsPerSubgroup(rows);
    const workgroups = spread(Math.ceil(rows / chunk));
    context.call(subgroupKernel, { parameters: form, bindings, uniforms: { rows, width, chunk, eps }, workgroups });
  } else context.call(workgroupKernel, { parameters: {}, bindings, uniforms: { rows, width, eps }, workgroups: spread(rows) });
}
