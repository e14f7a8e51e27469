/** Softmax of rows: one subgroup holds a row in registers, or one workgroup passes over it three times. */
import { sizeOf } from '../shape.js';
import { unroll } from './forms.js';
import { defineKernel, type LoweringContext, spread } from './kernel.js';
import { loadRow, type RowForm, rowForm, rowSum, rowsPerSubgroup, storeRow } from './row-form.js';

const LOWEST = '-3.4028234663852886e38';

const subgroupKernel = defineKernel<RowForm>({
  name: 'softmax-subgroup',
  bindings: { x: 'read', y: 'write' },
  types: () => ({ x: 'vec4f', y: 'vec4f' }),
  uniforms: { rows: 'u32', width: 'u32', chunk: 'u32' },
  subgroups: () => true,
  wgsl: (form) => {
    const all = Array.from({ length: form.vectors }, (_, v) => v);
    const inside = (v: number) => `lane + ${v * 8}u < W4`;
    return `
@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = (group.y * 65535u + group.x) * u.chunk;
  let W4 = u.width / 4u;
  for (var row = first; row < min(first + u.chunk, u.rows); row++) {
    let at = row * W4;
    ${loadRow(form, 'x', 'at')}
    let top = ${all.map((v) => (form.exact ? `x${v}` : `select(vec4f(${LOWEST}), x${v}, ${inside(v)})`)).reduce((a, b) => `max(${a}, ${b})`)};
    let highest = subgroupMax(max(max(top.x, top.y), max(top.z, top.w)));
    ${unroll(form.vectors, (v) => `let e${v} = ${form.exact ? `exp(x${v} - highest)` : `select(vec4f(), exp(x${v} - highest), ${inside(v)})`};`)}
    let scale = 1.0 / ${rowSum(form.vectors, (v) => `dot(e${v}, vec4f(1.0))`)};
    ${storeRow(form, 'y', 'at', (v) => `e${v} * scale`)}
  }
}`;
  },
});

const LANES = 64;

const workgroupKernel = defineKernel<object>({
  name: 'softmax',
  bindings: { x: 'read', y: 'write' },
  uniforms: { rows: 'u32', width: 'u32' },
  wgsl: () => `
var<workgroup> partial: array<f32, ${LANES}>;
fn combine(lane: u32, value: f32, largest: bool) -> f32 {
  workgroupBarrier();
  partial[lane] = value;
  for (var stride = ${LANES / 2}u; stride > 0u; stride >>= 1u) {
    workgroupBarrier();
    if (lane < stride) { partial[lane] = select(partial[lane] + partial[lane + stride], max(partial[lane], partial[lane + stride]), largest); }
  }
  workgroupBarrier();
  return partial[0];
}
@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.y * 65535u + group.x;
  if (row >= u.rows) { return; }
  let at = row * u.width;
  var top = ${LOWEST};
  for (var i = lane; i < u.width; i += ${LANES}u) { top = max(top, x[at + i]); }
  let highest = combine(lane, top, true);
  var sum = 0.0;
  for (var i = lane; i < u.width; i += ${LANES}u) { sum += exp(x[at + i] - highest); }
  let scale = 1.0 / combine(lane, sum, false);
  for (var i = lane; i < u.width; i += ${LANES}u) { y[at + i] = exp(x[at + i] - highest) * scale; }
}`,
});

export function lowerSoftmax(context: LoweringContext<Readonly<Record<string, never>>>): void {
  const { shape } = context.outputs[0];
  const width = shape[shape.length - 1];
  const rows = sizeOf(shape.slice(0, -1));
  if (rows * width === 0) return;
  const bindings = { x: context.input(0), y: context.output(0) };
  const form = rowForm(context.adapter, width);
  if (form === undefined) {
    context.call(workgroupKernel, { parameters: {}, bindings, uniforms: { rows, width }, workgroups: spread(rows) });
    return;
  }
  const chunk = rowsPerSubgroup(rows);
  context.call(subgroupKernel, {
    parameters: form,
    bindings,
    uniforms: { rows, width, chunk },
    workgroups: spread(Math.ceil(rows / chunk)),
  });
}
