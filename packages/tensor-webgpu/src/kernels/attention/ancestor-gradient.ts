/**
 * The gradient of attention over a forest: one kernel with a thread per query, which sums over its chain, and one with a thread per key, which
 * sums over its descendants in their order; so every sum has one owner. [after Dao et al., 2022, Alg. 4]
 */
import { sizeOf } from '../../shape.js';
import { defineKernel, type LoweringContext } from '../kernel.js';
import { chainForm, nodeOpening } from './ancestor.js';
import { type AttentionForm, AttentionText } from './form.js';

const SIZES = { N: 'u32', K: 'u32', heads: 'u32', elements: 'u32', scale: 'f32' } as const;

// δ = Σ dy · y;   P = exp(S − lse);   dS = P · (dy vᵀ − δ);   dq = scale · dS k
const queryKernel = defineKernel<AttentionForm>({
  name: 'ancestor-attention-grad-query',
  bindings: { dy: 'read', qkv: 'read', ancestors: 'read', y: 'read', lse: 'read', dqkv: 'write', deltas: 'write' },
  types: ({ vector }) => ({ ancestors: 'i32', ...(vector === 4 ? { dy: 'vec4f', qkv: 'vec4f', y: 'vec4f', dqkv: 'vec4f' } : {}) }),
  uniforms: SIZES,
  wgsl: (form) => {
    const text = new AttentionText(form);
    return `
@compute @workgroup_size(${form.lanes})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  ${nodeOpening(form, text, ['q', 'dyq', 'dq'])}
  var delta_sum = ${text.E}();
  ${text.once((c) => `q[${c}] = qkv[own * 3u * width + head + ${c}] * u.scale; dyq[${c}] = dy[own * width + head + ${c}]; delta_sum = fma(dyq[${c}], y[own * width + head + ${c}], delta_sum);`)}
  let delta = ${text.total('delta_sum')};
  let logSumExp = lse[own * u.heads + group.y];
  for (var k = 0u; k < u.K; k++) {
    let node = ancestors[own * u.K + k];
    let key = u32(max(node, 0)) * 3u * width + width + head;
    var s_sum = ${text.E}();
    var dp_sum = ${text.E}();
    ${text.each((c) => `s_sum = fma(q[${c}], qkv[key + ${c}], s_sum); dp_sum = fma(dyq[${c}], qkv[key + width + ${c}], dp_sum);`)}
    let ds = select(0.0, exp(${text.total('s_sum')} - logSumExp) * (${text.total('dp_sum')} - delta), node >= 0);
    ${text.each((c) => `dq[${c}] = fma(${text.E}(ds), qkv[key + ${c}], dq[${c}]);`)}
  }
  if (place < u.N) {
    ${text.once((c) => `dqkv[own * 3u * width + head + ${c}] = dq[${c}] * u.scale;`)}
    deltas[own * u.heads + group.y] = delta;
  }
}`;
  },
});

// dv = Pᵀ dy;   dk = scale · dSᵀ q, over the descendants
const keyKernel = defineKernel<AttentionForm>({
  name: 'ancestor-attention-grad-key',
  bindings: { dy: 'read', qkv: 'read', ends: 'read', lse: 'read', deltas: 'read', dqkv: 'write' },
  types: ({ vector }) => ({ ends: 'i32', ...(vector === 4 ? { dy: 'vec4f', qkv: 'vec4f', dqkv: 'vec4f' } : {}) }),
  uniforms: SIZES,
  wgsl: (form) => {
    const text = new AttentionText(form);
    return `
@compute @workgroup_size(${form.lanes})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  ${nodeOpening(form, text, ['k', 'v', 'dk', 'dv'])}
  let k_at = own * 3u * width + width + head;
  ${text.once((c) => `k[${c}] = qkv[k_at + ${c}] * u.scale; v[${c}] = qkv[k_at + width + ${c}];`)}
  let end = u32(ends[own]);
  for (var n = own; n < end; n++) {
    let q_at = n * 3u * width + head;
    let g_at = n * width + head;
    var s_sum = ${text.E}();
    var dp_sum = ${text.E}();
    ${text.each((c) => `s_sum = fma(k[${c}], qkv[q_at + ${c}], s_sum); dp_sum = fma(v[${c}], dy[g_at + ${c}], dp_sum);`)}
    let p = exp(${text.total('s_sum')} - lse[n * u.heads + group.y]);
    let ds = p * (${text.total('dp_sum')} - deltas[n * u.heads + group.y]);
    ${text.each((c) => `dv[${c}] = fma(${text.E}(p), dy[g_at + ${c}], dv[${c}]); dk[${c}] = fma(${text.E}(ds), qkv[q_at + ${c}], dk[${c}]);`)}
  }
  if (place < u.N) {
    ${text.once((c) => `dqkv[k_at + ${c}] = dk[${c}] * u.scale; dqkv[k_at + width + ${c}] = dv[${c}];`)}
  }
}`;
  },
});

export function lowerAncestorAttentionGrad(context: LoweringContext<{ readonly heads: number }>): void {
  const { heads } = context.attributes;
  const [N, D] = context.inputs[0].shape;
  if (sizeOf([N, D]) === 0) return;
  const parameters = chainForm(context, D / heads);
  const uniforms = {
    N,
    K: context.inputs[2].shape[1],
    heads,
    elements: parameters.headDim / parameters.vector,
    scale: 1 / Math.sqrt(parameters.headDim),
  };
  const workgroups = [Math.ceil(N / parameters.lanes), heads, 1] as const;
  const [dy, qkv, ancestors, ends, y, lse] = [0, 1, 2, 3, 4, 5].map((index) => context.input(index));
  const [dqkv, deltas] = [context.output(0), context.scratch(N * heads)];
  context.call(queryKernel, { parameters, bindings: { dy, qkv, ancestors, y, lse, dqkv, deltas }, uniforms, workgroups });
  context.call(keyKernel, { parameters, bindings: { dy, qkv, ends, lse, deltas, dqkv }, uniforms, workgroups });
}
