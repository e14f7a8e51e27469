/** Running sums (one thread per line) and the largest elements of rows (one thread per row): short axes, many lines. */
import { COMPUTE_TYPE } from '../dtype.js';
import { around, sizeOf } from '../shape.js';
import { defineKernel, type LoweringContext, spread } from './kernel.js';

const LANES = 8;

const cumulativeSumKernel = defineKernel<{ readonly type: 'f32' | 'i32' | 'u32'; readonly reverse: boolean }>({
  name: 'cumulative-sum',
  bindings: { x: 'read', y: 'write' },
  types: ({ type }) => ({ x: type, y: type }),
  uniforms: { lines: 'u32', length: 'u32', inner: 'u32' },
  wgsl: ({ type, reverse }) => `
@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * 65535u + group.x) * ${LANES}u + lane;
  if (i >= u.lines) { return; }
  let start = i / u.inner * u.length * u.inner + i % u.inner;
  var sum = ${type}();
  for (var k = 0u; k < u.length; k++) {
    let at = start + ${reverse ? '(u.length - 1u - k)' : 'k'} * u.inner;
    sum += x[at];
    y[at] = sum;
  }
}`,
});

export function lowerCumulativeSum(context: LoweringContext<{ readonly axis: number; readonly reverse: boolean }>): void {
  const [{ shape, dtype }] = context.inputs;
  const { axis, reverse } = context.attributes;
  const [outer, length, inner] = around(shape, axis);
  if (outer * length * inner === 0) return;
  context.call(cumulativeSumKernel, {
    parameters: { type: COMPUTE_TYPE[dtype], reverse },
    bindings: { x: context.input(0), y: context.output(0) },
    uniforms: { lines: outer * inner, length, inner },
    workgroups: spread(Math.ceil((outer * inner) / LANES)),
  });
}

/** Each of k passes finds the largest element that comes after the last one found, in the order of value and place. */
const topKKernel = defineKernel<object>({
  name: 'top-k',
  bindings: { x: 'read', values: 'write', places: 'write' },
  types: () => ({ places: 'i32' }),
  uniforms: { rows: 'u32', length: 'u32', k: 'u32' },
  wgsl: () => `
@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = (group.y * 65535u + group.x) * ${LANES}u + lane;
  if (row >= u.rows) { return; }
  var last = 3.4028234663852886e38;
  var last_place = -1;
  for (var j = 0u; j < u.k; j++) {
    var best = -3.4028234663852886e38;
    var place = -1;
    for (var i = 0u; i < u.length; i++) {
      let value = x[row * u.length + i];
      let free = value < last || (value == last && i32(i) > last_place);
      if (free && (value > best || place < 0)) { best = value; place = i32(i); }
    }
    values[row * u.k + j] = best;
    places[row * u.k + j] = place;
    last = best;
    last_place = place;
  }
}`,
});

export function lowerTopK(context: LoweringContext<{ readonly k: number }>): void {
  const { shape } = context.inputs[0];
  const rows = sizeOf(shape.slice(0, -1));
  if (rows === 0) return;
  context.call(topKKernel, {
    parameters: {},
    bindings: { x: context.input(0), values: context.output(0), places: context.output(1) },
    uniforms: { rows, length: shape[shape.length - 1], k: context.attributes.k },
    workgroups: spread(Math.ceil(rows / LANES)),
  });
}
