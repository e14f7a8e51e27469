/**
 * Cross-entropy: one pass over each row of logits with a running maximum and a sum scaled to it, by one subgroup or workgroup per row.
 * [Milakov & Gimelshein, 2018]
 */
import { isCpuWithSubgroups, unroll } from './forms.js';
import { defineKernel, type LoweringContext, spread } from './kernel.js';

const LOWEST = '-3.4028234663852886e38';
/** vec4 per lane and turn of the loop. */
const BLOCK = 8;

const OUTCOME = (logit: string) => `
    let target_ = targets[row];
    let logSumExp = log(sum) + maximum;
    let inside = target_ >= 0 && u32(target_) < u.width;
    let picked = select(0.0, ${logit}, inside);
    losses[row] = select(logSumExp - picked, 0.0, target_ < 0);
    lse[row] = logSumExp;`;

/** One block of a row: `guarded` where it may reach past the end. */
const block = (guarded: boolean) => `
      ${unroll(BLOCK, (j) => (guarded ? `let v${j} = select(vec4f(${LOWEST}), logits[at + min(i + ${j * 8}u, W4 - 1u)], i + ${j * 8}u < W4);` : `let v${j} = logits[at + i + ${j * 8}u];`))}
      let top = ${Array.from({ length: BLOCK }, (_, j) => `v${j}`).reduce((a, b) => `max(${a}, ${b})`)};
      let raised = max(highest, max(max(top.x, top.y), max(top.z, top.w)));
      let terms = ${Array.from({ length: BLOCK }, (_, j) => `exp(v${j} - raised)`).join(' + ')};
      own = own * exp(highest - raised) + dot(terms, vec4f(1.0));
      highest = raised;`;

const subgroupKernel = defineKernel({
  name: 'cross-entropy-subgroup',
  bindings: { logits: 'read', targets: 'read', losses: 'write', lse: 'write' },
  types: () => ({ logits: 'vec4f', targets: 'i32' }),
  uniforms: { rows: 'u32', width: 'u32' },
  subgroups: () => true,
  wgsl: () => `
@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.y * 65535u + group.x;
  if (row >= u.rows) { return; }
  let W4 = u.width / 4u;
  let at = row * W4;
  let whole = W4 - W4 % ${BLOCK * 8}u;
  var highest = ${LOWEST};
  var own = 0.0;
  for (var i = lane; i < whole; i += ${BLOCK * 8}u) {${block(false)}
  }
  if (whole < W4) {
    let i = whole + lane;${block(true)}
  }
  let maximum = subgroupMax(highest);
  let sum = subgroupAdd(own * exp(highest - maximum));
  if (lane == 0u) {${OUTCOME('logits[at + u32(max(target_, 0)) / 4u][u32(max(target_, 0)) % 4u]')}
  }
}`,
});

const LANES = 128;

const workgroupKernel = defineKernel({
  name: 'cross-entropy',
  bindings: { logits: 'read', targets: 'read', losses: 'write', lse: 'write' },
  types: () => ({ targets: 'i32' }),
  uniforms: { rows: 'u32', width: 'u32' },
  wgsl: () => `
var<workgroup> maxima: array<f32, ${LANES}>;
var<workgroup> sums: array<f32, ${LANES}>;
@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.y * 65535u + group.x;
  if (row >= u.rows) { return; }
  let at = row * u.width;
  var highest = ${LOWEST};
  var own = 0.0;
  for (var i = lane; i < u.width; i += ${LANES}u) {
    let value = logits[at + i];
    let raised = max(highest, value);
    own = own * exp(highest - raised) + exp(value - raised);
    highest = raised;
  }
  maxima[lane] = highest;
  sums[lane] = own;
  for (var stride = ${LANES / 2}u; stride > 0u; stride >>= 1u) {
    workgroupBarrier();
    if (lane < stride) {
      let raised = max(maxima[lane], maxima[lane + stride]);
      sums[lane] = sums[lane] * exp(maxima[lane] - raised) + sums[lane + stride] * exp(maxima[lane + stride] - raised);
      maxima[lane] = raised;
    }
  }
  if (lane == 0u) {
    let maximum = maxima[0];
    let sum = sums[0];${OUTCOME('logits[at + u32(max(target_, 0))]')}
  }
}`,
});

export function lowerCrossEntropy(context: LoweringContext<Readonly<Record<string, never>>>): void {
  const [rows, width] = context.inputs[0].shape;
  if (rows === 0) return;
  const kernel = isCpuWithSubgroups(context.adapter) && width % 4 === 0 ? subgroupKernel : workgroupKernel;
  context.call(kernel, {
    parameters: {},
    bindings: { logits: context.input(0), targets: context.input(1), losses: context.output(0), lse: context.output(1) },
    uniforms: { rows, width },
    workgroups: spread(rows),
  });
}
