/** Causal attention without a [T, T] matrix: one thread per query, keys in blocks, softmax with a running maximum. [Dao et al., 2022, Alg. 1] */
import { sizeOf } from '../../shape.js';
import { defineKernel, type LoweringContext } from '../kernel.js';
import { type AttentionForm, AttentionText, attentionForm, MASKED } from './form.js';

const forwardKernel = (segments: boolean) =>
  defineKernel<AttentionForm>({
    name: 'causal-attention',
    bindings: { qkv: 'read', ...(segments ? { starts: 'read' } : {}), y: 'write', lse: 'write' },
    types: ({ vector }) => ({ starts: 'i32', ...(vector === 4 ? { qkv: 'vec4f', y: 'vec4f' } : {}) }),
    uniforms: { T: 'u32', heads: 'u32', elements: 'u32', scale: 'f32' },
    subgroups: ({ shared }) => shared,
    wgsl: (form) => {
      const text = new AttentionText(form);
      const { C, E } = text;
      const keys = Array.from({ length: form.block }, (_, j) => [`p${j}`, `v${j}`] as const);
      return `
@compute @workgroup_size(${form.lanes})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let width = u.heads * ${C}u;
  let head = group.y * ${C}u;
  let first = group.x * ${form.lanes}u;
  let query = first + lane;
  let row0 = group.z * u.T;
  let q_at = (row0 + min(query, u.T - 1u)) * 3u * width + head;
  var q: array<${E}, ${C}>;
  var o: array<${E}, ${C}>;
  ${text.once((c) => `q[${c}] = qkv[q_at + ${c}] * u.scale;`)}
  var highest = ${MASKED};
  var sum = 0.0;
  ${segments ? 'let start = u32(starts[row0 + min(query, u.T - 1u)]);' : ''}
  for (var j = ${segments ? 'u32(starts[row0 + first])' : '0u'}; j < min(first + ${form.lanes}u, u.T); j += ${form.block}u) {
    ${text.rows((j) => text.load(`k${j}`, 'qkv', `(row0 + min(j + ${j}u, u.T - 1u)) * 3u * width + width + head`))}
    ${text.rows((j) => text.product(`s${j}`, 'q', `k${j}`, 'qkv'))}
    ${text.rows((j) => `let m${j} = select(${MASKED}, s${j}, j + ${j}u <= query${segments ? ` && j + ${j}u >= start` : ''});`)}
    let raised = ${keys.reduce((max, _, j) => `max(${max}, m${j})`, 'highest')};
    let kept = exp(highest - raised);
    ${text.rows((j) => `let p${j} = ${segments ? `select(0.0, exp(m${j} - raised), j + ${j}u >= start)` : `exp(m${j} - raised)`};`)}
    sum = sum * kept + ${keys.map(([p]) => p).join(' + ')};
    highest = raised;
    ${text.rows((j) => text.load(`v${j}`, 'qkv', `k${j}_at + width`))}
    ${text.each((c) => `o[${c}] = ${text.weighted(`o[${c}] * kept`, keys, 'qkv', c)};`)}
  }
  if (query < u.T) {
    let y_at = (row0 + query) * width + head;
    let scale = 1.0 / sum;
    ${text.once((c) => `y[y_at + ${c}] = o[${c}] * scale;`)}
    lse[(group.z * u.heads + group.y) * u.T + query] = highest + log(sum);
  }
}`;
    },
  });

export function lowerCausalAttention(context: LoweringContext<{ readonly heads: number }>): void {
  const { heads } = context.attributes;
  const [B, T, D] = context.outputs[0].shape;
  if (sizeOf([B, T, D]) === 0) return;
  const headDim = D / heads;
  const form = attentionForm(context.adapter, headDim);
  const segments = context.inputs.length > 1;
  context.call(forwardKernel(segments), {
    parameters: form,
    bindings: { qkv: context.input(0), ...(segments ? { starts: context.input(1) } : {}), y: context.output(0), lse: context.output(1) },
    uniforms: { T, heads, elements: headDim / form.vector, scale: 1 / Math.sqrt(headDim) },
    workgroups: [Math.ceil(T / form.lanes), heads, B],
  });
}
