/**
 * The gradient of causal attention, from the saved log-sum-exp: one kernel with a thread per query, one with a thread per key, so that every sum
 * has one owner and one order. [Dao et al., 2022, Alg. 4]
 */
import { sizeOf } from '../../shape.js';
import { defineKernel, type LoweringContext } from '../kernel.js';
import { type AttentionForm, AttentionText, attentionForm } from './form.js';

const SIZES = { T: 'u32', heads: 'u32', elements: 'u32', scale: 'f32' } as const;

/** What both kernels begin with: `own` is the row of the query or key, kept inside the sequence. */
const opening = ({ lanes }: AttentionForm, { C, E }: AttentionText, arrays: readonly string[]) => `
  let width = u.heads * ${C}u;
  let head = group.y * ${C}u;
  let first = group.x * ${lanes}u;
  let place = first + lane;
  let row0 = group.z * u.T;
  let own = row0 + min(place, u.T - 1u);
  let statistics = (group.z * u.heads + group.y) * u.T;
  ${arrays.map((name) => `var ${name}: array<${E}, ${C}>;`).join('\n')}`;

// δ = Σ dy · y;   P = exp(S − lse);   dS = P · (dy vᵀ − δ);   dq = scale · dS k
const queryKernel = (segments: boolean) =>
  defineKernel<AttentionForm>({
    name: 'causal-attention-grad-query',
    bindings: { dy: 'read', qkv: 'read', ...(segments ? { starts: 'read' } : {}), y: 'read', lse: 'read', dqkv: 'write', deltas: 'write' },
    types: ({ vector }) => ({ starts: 'i32', ...(vector === 4 ? { dy: 'vec4f', qkv: 'vec4f', y: 'vec4f', dqkv: 'vec4f' } : {}) }),
    uniforms: SIZES,
    subgroups: ({ shared }) => shared,
    wgsl: (form) => {
      const text = new AttentionText(form);
      const keys = Array.from({ length: form.block }, (_, j) => [`ds${j}`, `k${j}`] as const);
      return `
@compute @workgroup_size(${form.lanes})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  ${opening(form, text, ['q', 'dyq', 'dq'])}
  var delta_sum = ${text.E}();
  ${text.once((c) => `q[${c}] = qkv[own * 3u * width + head + ${c}] * u.scale; dyq[${c}] = dy[own * width + head + ${c}]; delta_sum = fma(dyq[${c}], y[own * width + head + ${c}], delta_sum);`)}
  let delta = ${text.total('delta_sum')};
  let logSumExp = lse[statistics + min(place, u.T - 1u)];
  ${segments ? 'let start = u32(starts[own]);' : ''}
  for (var j = ${segments ? 'u32(starts[row0 + first])' : '0u'}; j < min(first + ${form.lanes}u, u.T); j += ${form.block}u) {
    ${text.rows((j) => text.load(`k${j}`, 'qkv', `(row0 + min(j + ${j}u, u.T - 1u)) * 3u * width + width + head`))}
    ${text.rows((j) => text.load(`v${j}`, 'qkv', `k${j}_at + width`))}
    ${text.rows((j) => text.product(`s${j}`, 'q', `k${j}`, 'qkv'))}
    ${text.rows((j) => text.product(`dp${j}`, 'dyq', `v${j}`, 'qkv'))}
    ${text.rows((j) => `let ds${j} = select(0.0, exp(s${j} - logSumExp) * (dp${j} - delta), j + ${j}u <= place${segments ? ` && j + ${j}u >= start` : ''});`)}
    ${text.each((c) => `dq[${c}] = ${text.weighted(`dq[${c}]`, keys, 'qkv', c)};`)}
  }
  if (place < u.T) {
    ${text.once((c) => `dqkv[own * 3u * width + head + ${c}] = dq[${c}] * u.scale;`)}
    deltas[statistics + place] = delta;
  }
}`;
    },
  });

// dv = Pᵀ dy;   dk = scale · dSᵀ q
const keyKernel = (segments: boolean) =>
  defineKernel<AttentionForm>({
    name: 'causal-attention-grad-key',
    bindings: { dy: 'read', qkv: 'read', ...(segments ? { starts: 'read' } : {}), lse: 'read', deltas: 'read', dqkv: 'write' },
    types: ({ vector }) => ({ starts: 'i32', ...(vector === 4 ? { dy: 'vec4f', qkv: 'vec4f', dqkv: 'vec4f' } : {}) }),
    uniforms: SIZES,
    subgroups: ({ shared }) => shared,
    wgsl: (form) => {
      const text = new AttentionText(form);
      const number = Array.from({ length: form.block }, (_, i) => i);
      const scalar = (buffer: string, name: string) =>
        form.shared
          ? `let ${name} = ${buffer}[statistics + min(i + lane, u.T - 1u)];\n${text.rows((i) => `let ${name}${i} = subgroupBroadcast(${name}, ${i}u);`)}`
          : text.rows((i) => `let ${name}${i} = ${buffer}[statistics + min(i + ${i}u, u.T - 1u)];`);
      return `
@compute @workgroup_size(${form.lanes})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  ${opening(form, text, ['k', 'v', 'dk', 'dv'])}
  let k_at = own * 3u * width + width + head;
  ${text.once((c) => `k[${c}] = qkv[k_at + ${c}] * u.scale; v[${c}] = qkv[k_at + width + ${c}];`)}
  for (var i = first; i < u.T; i += ${form.block}u) {
    ${scalar('lse', 'l')}
    ${scalar('deltas', 'd')}
    ${text.rows((i) => `let query${i} = row0 + min(i + ${i}u, u.T - 1u);`)}
    ${text.rows((i) => text.load(`q${i}`, 'qkv', `query${i} * 3u * width + head`))}
    ${text.rows((i) => text.load(`g${i}`, 'dy', `query${i} * width + head`))}
    ${text.rows((i) => text.product(`s${i}`, 'k', `q${i}`, 'qkv'))}
    ${text.rows((i) => text.product(`dp${i}`, 'v', `g${i}`, 'dy'))}
    ${text.rows((i) => `let p${i} = select(0.0, exp(s${i} - l${i}), i + ${i}u >= place && i + ${i}u < u.T${segments ? ` && u32(starts[query${i}]) <= place` : ''}); let ds${i} = p${i} * (dp${i} - d${i});`)}
    ${text.each(
      (c) =>
        `dv[${c}] = ${text.weighted(
          `dv[${c}]`,
          number.map((i) => [`p${i}`, `g${i}`] as const),
          'dy',
          c,
        )}; dk[${c}] = ${text.weighted(
          `dk[${c}]`,
          number.map((i) => [`ds${i}`, `q${i}`] as const),
          'qkv',
          c,
        )};`,
    )}
  }
  if (place < u.T) {
    ${text.once((c) => `dqkv[k_at + ${c}] = dk[${c}] * u.scale; dqkv[k_at + width + ${c}] = dv[${c}];`)}
  }
}`;
    },
  });

export function lowerCausalAttentionGrad(context: LoweringContext<{ readonly heads: number }>): void {
  const { heads } = context.attributes;
  const [B, T, D] = context.inputs[0].shape;
  if (sizeOf([B, T, D]) === 0) return;
  const headDim = D / heads;
  const parameters = attentionForm(context.adapter, headDim);
  const uniforms = { T, heads, elements: headDim / parameters.vector, scale: 1 / Math.sqrt(headDim) };
  const workgroups = [Math.ceil(T / parameters.lanes), heads, B] as const;
  const [dy, qkv, y, lse, dqkv, deltas] = [
    context.input(0),
    context.input(1),
    context.input(2),
    context.input(3),
    context.output(0),
    context.scratch(B * heads * T),
  ];
  const segments = context.inputs.length > 4;
  const starts = segments ? { starts: context.input(4) } : {};
  context.call(queryKernel(segments), { parameters, bindings: { dy, qkv, ...starts, y, lse, dqkv, deltas }, uniforms, workgroups });
  context.call(keyKernel(segments), { parameters, bindings: { dy, qkv, ...starts, lse, deltas, dqkv }, uniforms, workgroups });
}
