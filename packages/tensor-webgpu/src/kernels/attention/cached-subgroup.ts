/**
 * Attention to a cache on CPUs with subgroups: eight lanes share the elements of a head, so query and sums stay in registers and every row is
 * loaded once, by all lanes together. Keys pass by eight at a time in the order of the sequence, counted from its start: lane l keeps the score
 * of key l, so the exponentials of eight keys are one. A result does not depend on how the sequence was cut into calls.
 */
import { unroll } from '../forms.js';
import { defineKernel } from '../kernel.js';
import { loadRow, type RowForm, rowSum, storeRow } from '../row-form.js';
import { MASKED } from './form.js';
import { type Places, placeFunctions } from './places.js';

export const cachedSubgroupKernel = defineKernel<RowForm & Places>({
  name: 'cached-attention-subgroup',
  bindings: { qkv: 'read', cache: 'read', lengths: 'read', y: 'write' },
  types: () => ({ qkv: 'vec4f', cache: 'vec4f', lengths: 'i32', y: 'vec4f' }),
  uniforms: { T: 'u32', capacity: 'u32', heads: 'u32', shared_by: 'u32', elements: 'u32', scale: 'f32' },
  subgroups: () => true,
  wgsl: (form) => {
    const { vectors } = form;
    /** `body` for the keys of a block that are cached, then for those that are new; `at` is where a key's row begins. */
    const keys = (body: (buffer: string) => string) => `
    for (var j = first; j < min(end, length); j++) {
      let at = (rows + j) * 2u * stride + shared_head;
      ${body('cache')}
    }
    for (var j = max(first, length); j < end; j++) {
      let at = (row0 + j - length) * (width + 2u * stride) + width + shared_head;
      ${body('qkv')}
    }`;
    return `${placeFunctions(form, 'lengths')}
@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let W4 = u.elements;
  let width = u.heads * W4;
  let stride = width / u.shared_by;
  let head = group.y * W4;
  let shared_head = group.y / u.shared_by * W4;
  let row0 = group.z * u.T;
  let length = lengthOf(group.z);
  let count = length + group.x + 1u;
  let q_at = (row0 + group.x) * (width + 2u * stride) + head;
  ${loadRow(form, 'query', 'q_at', 'qkv')}
  ${unroll(vectors, (v) => `let q${v} = query${v} * u.scale; var o${v} = vec4f();`)}
  var highest = ${MASKED};
  var sum = 0.0;
  for (var first = 0u; first < count; first += 8u) {
    let end = min(first + 8u, count);
    let rows = rowsFrom(group.z, first);
    var score = ${MASKED};
    ${keys(
      (buffer) => `${loadRow(form, 'key', 'at', buffer)}
      score = select(score, ${rowSum(vectors, (v) => `dot(q${v}, key${v})`)}, lane == j - first);`,
    )}
    let raised = max(highest, subgroupMax(score));
    let kept = exp(highest - raised);
    let p = select(0.0, exp(score - raised), lane < end - first);
    sum = sum * kept + subgroupAdd(p);
    highest = raised;
    ${unroll(vectors, (v) => `o${v} *= kept;`)}
    ${keys(
      (buffer) => `let share = vec4f(subgroupShuffle(p, j - first));
      ${loadRow(form, 'value', 'at + stride', buffer)}
      ${unroll(vectors, (v) => `o${v} = fma(share, value${v}, o${v});`)}`,
    )}
  }
  let y_at = (row0 + group.x) * width + head;
  ${storeRow(form, 'y', 'y_at', (v) => `o${v} / sum`)}
}`;
  },
});
