/** Attention over the chains of a forest: one thread per node and head; softmax with a running maximum along its chain. */
import { sizeOf } from '../../shape.js';
import { defineKernel, type LoweringContext } from '../kernel.js';
import { type AttentionForm, AttentionText, attentionForm, MASKED } from './form.js';

/** A form without lanes that share rows: every thread follows a chain of its own. */
export function chainForm(context: LoweringContext, headDim: number): AttentionForm {
  return { ...attentionForm(context.adapter, headDim), shared: false, block: 1 };
}

/** What the kernels over nodes begin with: `own` is the node, kept inside the forest. */
export const nodeOpening = ({ lanes }: AttentionForm, { C, E }: AttentionText, arrays: readonly string[]) => `
  let width = u.heads * ${C}u;
  let head = group.y * ${C}u;
  let place = group.x * ${lanes}u + lane;
  let own = min(place, u.N - 1u);
  ${arrays.map((name) => `var ${name}: array<${E}, ${C}>;`).join('\n')}`;

const forwardKernel = defineKernel<AttentionForm>({
  name: 'ancestor-attention',
  bindings: { qkv: 'read', ancestors: 'read', y: 'write', lse: 'write' },
  types: ({ vector }) => ({ ancestors: 'i32', ...(vector === 4 ? { qkv: 'vec4f', y: 'vec4f' } : {}) }),
  uniforms: { N: 'u32', K: 'u32', heads: 'u32', elements: 'u32', scale: 'f32' },
  wgsl: (form) => {
    const text = new AttentionText(form);
    return `
@compute @workgroup_size(${form.lanes})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  ${nodeOpening(form, text, ['q', 'o'])}
  ${text.once((c) => `q[${c}] = qkv[own * 3u * width + head + ${c}] * u.scale;`)}
  var highest = ${MASKED};
  var sum = 0.0;
  for (var k = 0u; k < u.K; k++) {
    let node = ancestors[own * u.K + k];
    let key = u32(max(node, 0)) * 3u * width + width + head;
    var s_sum = ${text.E}();
    ${text.each((c) => `s_sum = fma(q[${c}], qkv[key + ${c}], s_sum);`)}
    let s = select(${MASKED}, ${text.total('s_sum')}, node >= 0);
    let raised = max(highest, s);
    let kept = exp(highest - raised);
    let p = select(0.0, exp(s - raised), node >= 0);
    sum = sum * kept + p;
    highest = raised;
    ${text.each((c) => `o[${c}] = fma(${text.E}(p), qkv[key + width + ${c}], o[${c}] * kept);`)}
  }
  if (place < u.N) {
    let scale = 1.0 / sum;
    ${text.once((c) => `y[own * width + head + ${c}] = o[${c}] * scale;`)}
    lse[own * u.heads + group.y] = highest + log(sum);
  }
}`;
  },
});

export function lowerAncestorAttention(context: LoweringContext<{ readonly heads: number }>): void {
  const { heads } = context.attributes;
  const [N, D] = context.outputs[0].shape;
  if (sizeOf([N, D]) === 0) return;
  const form = chainForm(context, D / heads);
  context.call(forwardKernel, {
    parameters: form,
    bindings: { qkv: context.input(0), ancestors: context.input(1), y: context.output(0), lse: context.output(1) },
    uniforms: { N, K: context.inputs[1].shape[1], heads, elements: form.headDim / form.vector, scale: 1 / Math.sqrt(form.headDim) },
    workgroups: [Math.ceil(N / form.lanes), heads, 1],
  });
}
