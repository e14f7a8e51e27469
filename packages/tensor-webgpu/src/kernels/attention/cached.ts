/**
 * Attention of new positions to a cache and to each other: one workgroup per query and head. Lane l takes the keys l, l + lanes, .. by their place
 * in the whole sequence, so a result does not depend on how the sequence was cut into calls. [after Dao et al., 2023, Flash-Decoding]
 */
import { sizeOf } from '../../shape.js';
import { defineKernel, type LoweringContext } from '../kernel.js';
import { rowForm } from '../row-form.js';
import { cachedSubgroupKernel } from './cached-subgroup.js';
import { type AttentionForm, AttentionText, attentionForm, MASKED } from './form.js';
import { type Places, placeFunctions, placesOf } from './places.js';

/** Functions that combine a value of every lane: loops over workgroup memory, the same on every adapter. */
function acrossLanes(lanes: number, E: string): string {
  const over = (name: string, type: string, combine: (x: string) => string) => `
var<workgroup> ${name}_parts: array<${type}, ${lanes}>;
fn ${name}(lane: u32, x: ${type}) -> ${type} {
  workgroupBarrier();
  ${name}_parts[lane] = x;
  workgroupBarrier();
  var result = ${name}_parts[0];
  for (var i = 1u; i < ${lanes}u; i++) { result = ${combine(`${name}_parts[i]`)}; }
  return result;
}`;
  const elements = E === 'f32' ? '' : over('lanes_sum_of', E, (x) => `result + ${x}`);
  return `${over('lanes_max', 'f32', (x) => `max(result, ${x})`)}${over('lanes_sum', 'f32', (x) => `result + ${x}`)}${elements}`;
}

const cachedKernel = defineKernel<AttentionForm & Places>({
  name: 'cached-attention',
  bindings: { qkv: 'read', cache: 'read', lengths: 'read', y: 'write' },
  types: ({ vector }) => ({ lengths: 'i32', ...(vector === 4 ? { qkv: 'vec4f', cache: 'vec4f', y: 'vec4f' } : {}) }),
  uniforms: { T: 'u32', capacity: 'u32', heads: 'u32', shared_by: 'u32', elements: 'u32', scale: 'f32' },
  wgsl: (form) => {
    const text = new AttentionText(form);
    const { C, E } = text;
    const sumOf = E === 'f32' ? 'lanes_sum' : 'lanes_sum_of';
    const take = (rows: string) => `
    var s_sum = ${E}();
    ${text.each((c) => `s_sum = fma(q[${c}], ${rows}[at + ${c}], s_sum);`)}
    let s = ${text.total('s_sum')};
    let raised = max(highest, s);
    let kept = exp(highest - raised);
    let p = exp(s - raised);
    sum = sum * kept + p;
    highest = raised;
    ${text.each((c) => `o[${c}] = fma(${E}(p), ${rows}[at + stride + ${c}], o[${c}] * kept);`)}`;
    return `${acrossLanes(form.lanes, E)}${placeFunctions(form, 'lengths')}
@compute @workgroup_size(${form.lanes})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let width = u.heads * ${C}u;
  let stride = width / u.shared_by;
  let head = group.y * ${C}u;
  let shared_head = group.y / u.shared_by * ${C}u;
  let row0 = group.z * u.T;
  let length = lengthOf(group.z);
  let q_at = (row0 + group.x) * (width + 2u * stride) + head;
  var q: array<${E}, ${C}>;
  var o: array<${E}, ${C}>;
  ${text.once((c) => `q[${c}] = qkv[q_at + ${c}] * u.scale;`)}
  var highest = ${MASKED};
  var sum = 0.0;
  var j = lane;
  for (; j < length; j += ${form.lanes}u) {
    let at = (rowsFrom(group.z, j) + j) * 2u * stride + shared_head;
    ${take('cache')}
  }
  for (; j <= length + group.x; j += ${form.lanes}u) {
    let at = (row0 + j - length) * (width + 2u * stride) + width + shared_head;
    ${take('qkv')}
  }
  let top = lanes_max(lane, highest);
  let kept = exp(highest - top);
  let total = lanes_sum(lane, sum * kept);
  let y_at = (row0 + group.x) * width + head;
  ${text.each((c) => `{ let mean = ${sumOf}(lane, o[${c}] * kept) / total; if (lane == 0u) { y[y_at + ${c}] = mean; } }`)}
}`;
  },
});

export function lowerCachedAttention(context: LoweringContext<{ readonly heads: number; readonly keyValueHeads: number }>): void {
  const { heads, keyValueHeads } = context.attributes;
  const [B, T, D] = context.outputs[0].shape;
  if (sizeOf([B, T, D]) === 0) return;
  const headDim = D / heads;
  const row = rowForm(context.adapter, headDim);
  const form = attentionForm(context.adapter, headDim);
  const [lengths, cache] = [context.inputs[2].shape, context.inputs[1].shape];
  const places = placesOf(lengths, cache);
  const call = {
    bindings: { qkv: context.input(0), cache: context.input(1), lengths: context.input(2), y: context.output(0) },
    uniforms: {
      T,
      capacity: places.blockRows === 0 ? cache[1] : lengths[1],
      heads,
      shared_by: heads / keyValueHeads,
      elements: headDim / form.vector,
      scale: 1 / Math.sqrt(headDim),
    },
    workgroups: [T, heads, B],
  } as const;
  if (row !== undefined) context.call(cachedSubgroupKernel, { ...call, parameters: { ...row, ...places } });
  else {
    const lanes = context.adapter.software ? 8 : 32;
    context.call(cachedKernel, { ...call, parameters: { ...form, shared: false, block: 1, lanes, ...places } });
  }
}
