/** The optimiser's kernels over a flat parameter buffer: the global norm in two stages of fixed order, and AdamW for every element at once. */
import type { AdamWAttributes } from '../ops/update.js';
import { defineKernel, type LoweringContext, partsOf, spread, type ValueRef } from './kernel.js';

const LANES = 64;
/** Elements per block of a flat set, and the same in vec4. */
const BLOCK = 64;
const VECTORS = BLOCK / 4;

const part = (value: ValueRef, start: number, count: number): ValueRef => ({ ...value, range: { start, count } });
/** Partial sums of the norm. */
const PARTIALS = 1024;

const partialNormKernel = defineKernel<object>({
  name: 'global-norm-partial',
  bindings: { flat: 'read', blocks: 'read', partials: 'write' },
  types: () => ({ flat: 'vec4f', blocks: 'u32' }),
  uniforms: { first: 'u32', count: 'u32', share: 'u32', partialFirst: 'u32', partialCount: 'u32' },
  wgsl: () => `
@compute @workgroup_size(${LANES})
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= u.partialCount) { return; }
  var sum = vec4f();
  for (var block = id.x * u.share; block < min((id.x + 1u) * u.share, u.count); block++) {
    let valid = blocks[u.first + block] & 255u;
    for (var i = 0u; i < ${VECTORS}u; i++) {
      // What lies behind a parameter's last element is undefined, so it is chosen away, not multiplied by zero.
      let inside = vec4u(i * 4u) + vec4u(0u, 1u, 2u, 3u) < vec4u(valid);
      let g = select(vec4f(), flat[block * ${VECTORS}u + i], inside);
      sum = fma(g, g, sum);
    }
  }
  partials[u.partialFirst + id.x] = sum.x + sum.y + sum.z + sum.w;
}`,
});

const normKernel = defineKernel<object>({
  name: 'global-norm',
  bindings: { partials: 'read', y: 'write' },
  uniforms: { partialCount: 'u32' },
  wgsl: () => `
@compute @workgroup_size(1)
fn main() {
  var sum = 0.0;
  for (var i = 0u; i < u.partialCount; i++) { sum += partials[i]; }
  y[0] = sqrt(sum);
}`,
});

export function lowerGlobalNorm(context: LoweringContext<Readonly<Record<string, never>>>): void {
  const [, blocks] = context.inputs;
  const count = blocks.shape[0];
  const share = Math.max(1, Math.ceil(count / PARTIALS));
  const partialCount = Math.ceil(count / share);
  const partials = context.scratch(Math.max(partialCount, 1));
  if (partialCount > 0) {
    // Each part of the values fills its own range of the partial sums.
    for (const { start, count: some } of partsOf(partialCount, share * BLOCK, context.adapter.maxBindingBytes / 4)) {
      const [first, blockCount] = [start * share, Math.min(some * share, count - start * share)];
      context.call(partialNormKernel, {
        parameters: {},
        bindings: { flat: part(context.input(0), first * BLOCK, blockCount * BLOCK), blocks: context.input(1), partials },
        uniforms: { first, count: blockCount, share, partialFirst: start, partialCount: some },
        workgroups: Math.ceil(some / LANES),
      });
    }
  }
  context.call(normKernel, { parameters: {}, bindings: { partials, y: context.output(0) }, uniforms: { partialCount }, workgroups: 1 });
}

const adamWKernel = defineKernel<object>({
  name: 'adamw',
  bindings: { p: 'read_write', m: 'read_write', v: 'read_write', g: 'read', norm: 'read', blocks: 'read', groups: 'read', rates: 'read' },
  types: () => ({ p: 'vec4f', m: 'vec4f', v: 'vec4f', g: 'vec4f', blocks: 'u32', groups: 'vec2f' }),
  uniforms: { first: 'u32', count: 'u32', beta1: 'f32', beta2: 'f32', eps: 'f32', clipNorm: 'f32' },
  wgsl: () => `
@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * 65535u + group.x) * ${LANES}u + lane;
  if (i >= u.count) { return; }
  let block = blocks[u.first + i / ${VECTORS}u];
  if ((i % ${VECTORS}u) * 4u >= (block & 255u)) { return; }
  let decayAndFactor = groups[block >> 8u];
  let rate = rates[0] * decayAndFactor.y;
  // What lies behind a parameter's last element keeps its value, whatever the gradients have there.
  let inside = vec4u((i % ${VECTORS}u) * 4u) + vec4u(0u, 1u, 2u, 3u) < vec4u(block & 255u);
  // A norm that is no finite number: some gradient is none, and the step is left out.
  if ((bitcast<u32>(norm[0]) & 0x7f800000u) == 0x7f800000u) { return; }
  let gradient = select(vec4f(), g[i], inside) * rates[3] * min(1.0, u.clipNorm / (norm[0] * rates[3] + 1e-6));
  let first = u.beta1 * m[i] + (1.0 - u.beta1) * gradient;
  let second = u.beta2 * v[i] + (1.0 - u.beta2) * gradient * gradient;
  m[i] = first;
  v[i] = second;
  p[i] = p[i] * (1.0 - rate * decayAndFactor.x) - (rate * (first / rates[1])) / (sqrt(second / rates[2]) + u.eps);
}`,
});

/** Stands for Infinity, which a shader cannot be given. */
const LARGEST = 3e38;

export function lowerAdamW(context: LoweringContext<AdamWAttributes>): void {
  const { beta1, beta2, eps, clipNorm } = context.attributes;
  const count = context.outputs[0].shape[0] / 4;
  if (count === 0) return;
  // Parameters and moments are written in place, so they are bound once, as outputs.
  const [p, m, v] = [0, 1, 2].map((index) => context.output(index));
  const [g, norm, blocks, groups, rates] = [3, 4, 5, 6, 7].map((index) => context.input(index));
  for (const { start, count: some } of partsOf(count / VECTORS, BLOCK, context.adapter.maxBindingBytes / 4)) {
    const here = (value: ValueRef) => part(value, start * BLOCK, some * BLOCK);
    context.call(adamWKernel, {
      parameters: {},
      bindings: { p: here(p), m: here(m), v: here(v), g: here(g), norm, blocks, groups, rates },
      uniforms: { first: start, count: some * VECTORS, beta1, beta2, eps, clipNorm: Math.min(clipNorm, LARGEST) },
      workgroups: spread(Math.ceil((some * VECTORS) / LANES)),
    });
  }
}
