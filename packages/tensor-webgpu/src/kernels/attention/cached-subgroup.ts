/**
 * Attention to a cache on CPUs with subgroups: eight lanes share the elements of a head, so query and sums stay in registers and every row is
 * loaded once, by all lanes together. Keys pass by one at a time in the order of the sequence.
 */
import { unroll } from '../forms.js';
import { defineKernel } from '../kernel.js';
import { loadRow, type RowForm, rowSum, storeRow } from '../row-form.js';
import { MASKED } from './form.js';

export const cachedSubgroupKernel = defineKernel<RowForm>({
  name: 'cached-attention-subgroup',
  bindings: { qkv: 'read', cache: 'read', lengths: 'read', y: 'write' },
  types: () => ({ qkv: 'vec4f', cache: 'vec4f', lengths: 'i32', y: 'vec4f' }),
  uniforms: { T: 'u32', capacity: 'u32', heads: 'u32', shared_by: 'u32', elements: 'u32', scale: 'f32' },
  subgroups: () => true,
  wgsl: (form) => {
    const { vectors } = form;
    const rows = (buffer: string) => `
    ${loadRow(form, 'key', 'at', buffer)}
    let s = ${rowSum(vectors, (v) => `dot(q${v}, key${v})`)};
    let raised = max(highest, s);
    let kept = exp(highest - raised);
    let p = exp(s - raised);
    sum = sum * kept + p;
    highest = raised;
    ${loadRow(form, 'value', 'at + stride', buffer)}
    ${unroll(vectors, (v) => `o${v} = fma(vec4f(p), value${v}, o${v} * kept);`)}`;
    return `
@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let W4 = u.elements;
  let width = u.heads * W4;
  let stride = width / u.shared_by;
  let head = group.y * W4;
  let shared_head = group.y / u.shared_by * W4;
  let row0 = group.z * u.T;
  let length = u32(lengths[group.z]);
  let q_at = (row0 + group.x) * (width + 2u * stride) + head;
  ${loadRow(form, 'query', 'q_at', 'qkv')}
  ${unroll(vectors, (v) => `let q${v} = query${v} * u.scale; var o${v} = vec4f();`)}
  var highest = ${MASKED};
  var sum = 0.0;
  for (var j = 0u; j < length; j++) {
    let at = (group.z * u.capacity + j) * 2u * stride + shared_head;
    ${rows('cache')}
  }
  for (var j = 0u; j <= group.x; j++) {
    let at = (row0 + j) * (width + 2u * stride) + width + shared_head;
    ${rows('qkv')}
  }
  let y_at = (row0 + group.x) * width + head;
  ${storeRow(form, 'y', 'y_at', (v) => `o${v} / sum`)}
}`;
  },
});
