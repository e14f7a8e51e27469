/**
 * Reductions in a fixed order: rows (the reduced axis is contiguous) by one subgroup or workgroup each, columns (it is strided) by one thread
 * per column. Long reductions go in two stages, so that few rows still fill the machine.
 */
import { COMPUTE_TYPE } from '../dtype.js';
import { defineKernel, type LoweringContext, spread, type ValueRef } from './kernel.js';

type Operation = 'sum' | 'max';
interface RowForm {
  readonly operation: Operation;
  readonly type: 'f32' | 'i32' | 'u32';
  readonly lanes: number;
  readonly subgroup: boolean;
}

const combine = (operation: Operation, a: string, b: string) => (operation === 'sum' ? `${a} + ${b}` : `max(${a}, ${b})`);
const lowest = (operation: Operation, type: string) =>
  operation === 'sum' ? `${type}(0)` : type === 'f32' ? '-3.4028234663852886e38' : type === 'i32' ? 'i32(-2147483648)' : '0u';

const rowKernel = defineKernel<RowForm>({
  name: 'reduce-rows',
  bindings: { x: 'read', y: 'write' },
  types: ({ type }) => ({ x: type, y: type }),
  uniforms: { rows: 'u32', length: 'u32' },
  subgroups: ({ subgroup }) => subgroup,
  wgsl: ({ operation, type, lanes, subgroup }) => `
${subgroup ? '' : `var<workgroup> partial: array<${type}, ${lanes}>;`}
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.y * 65535u + group.x;
  if (row >= u.rows) { return; }
  var value = ${lowest(operation, type)};
  for (var i = lane; i < u.length; i += ${lanes}u) { value = ${combine(operation, 'value', 'x[row * u.length + i]')}; }
  ${
    subgroup
      ? `let total = ${operation === 'sum' ? 'subgroupAdd' : 'subgroupMax'}(value);
  if (lane == 0u) { y[row] = total; }`
      : `partial[lane] = value;
  for (var stride = ${lanes / 2}u; stride > 0u; stride >>= 1u) {
    workgroupBarrier();
    if (lane < stride) { partial[lane] = ${combine(operation, 'partial[lane]', 'partial[lane + stride]')}; }
  }
  if (lane == 0u) { y[row] = partial[0]; }`
  }
}`,
});

const columnKernel = defineKernel<{ operation: Operation; type: 'f32' | 'i32' | 'u32'; width: 1 | 4 }>({
  name: 'reduce-columns',
  bindings: { x: 'read', y: 'write' },
  types: ({ type, width }) => ({ x: width === 4 ? `vec4<${type}>` : type, y: width === 4 ? `vec4<${type}>` : type }),
  uniforms: { count: 'u32', length: 'u32', inner: 'u32' },
  wgsl: ({ operation, type, width }) => `
@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * 65535u + group.x) * 8u + lane;
  if (i >= u.count) { return; }
  var at = (i / u.inner) * u.length * u.inner + i % u.inner;
  var value = ${width === 4 ? `vec4<${type}>(${lowest(operation, type)})` : lowest(operation, type)};
  for (var k = 0u; k < u.length; k++) { value = ${combine(operation, 'value', 'x[at]')}; at += u.inner; }
  y[i] = value;
}`,
});

/** Reduces the middle of [outer, length, inner]. */
function reduceMiddle(
  context: LoweringContext,
  operation: Operation,
  from: ValueRef,
  to: ValueRef,
  [outer, length, inner]: readonly [number, number, number],
): void {
  const type = COMPUTE_TYPE[context.inputs[0].dtype];
  if (inner > 1) {
    const width = inner % 4 === 0 ? 4 : 1;
    const count = (outer * inner) / width;
    context.call(columnKernel, {
      parameters: { operation, type, width },
      bindings: { x: from, y: to },
      uniforms: { count, length, inner: inner / width },
      workgroups: spread(Math.ceil(count / 8)),
    });
    return;
  }
  const { software, subgroups, subgroupMinSize } = context.adapter;
  const subgroup = software && subgroups && subgroupMinSize >= 8;
  context.call(rowKernel, {
    parameters: { operation, type, subgroup, lanes: subgroup ? 8 : 64 },
    bindings: { x: from, y: to },
    uniforms: { rows: outer, length },
    workgroups: spread(outer),
  });
}

/** The smallest divisor of `length` from `least` on, as the number of chunks of a first stage; 1 where there is none that helps. */
function chunksOf(length: number, least: number): number {
  for (let chunks = least; chunks <= least * 8; chunks++) if (length % chunks === 0) return chunks;
  return 1;
}

const LONG = 2048;

export function lowerReduce(operation: Operation, context: LoweringContext<{ readonly axes: readonly number[] }>): void {
  // Runs of neighbouring reduced axes, last first: each is one reduction of the middle of [outer, length, inner].
  const shape = [...context.inputs[0].shape];
  const runs: { start: number; end: number }[] = [];
  for (const axis of context.attributes.axes) {
    const last = runs.at(-1);
    if (last !== undefined && last.end === axis) last.end = axis + 1;
    else runs.push({ start: axis, end: axis + 1 });
  }
  const product = (extents: readonly number[]) => extents.reduce((a, b) => a * b, 1);
  let from = context.input(0);
  runs.reverse().forEach(({ start, end }, i) => {
    const middle: [number, number, number] = [product(shape.slice(0, start)), product(shape.slice(start, end)), product(shape.slice(end))];
    shape.splice(start, end - start, ...new Array<number>(end - start).fill(1));
    const to = i === runs.length - 1 ? context.output(0) : context.scratch(product(shape));
    const [outer, length, inner] = middle;
    const chunks = length >= LONG && outer * inner < 256 && !context.batchInvariant ? chunksOf(length, 32) : 1;
    if (chunks === 1) reduceMiddle(context, operation, from, to, middle);
    else {
      const partial = context.scratch(outer * chunks * inner);
      reduceMiddle(context, operation, from, partial, [outer * chunks, length / chunks, inner]);
      reduceMiddle(context, operation, partial, to, [outer, chunks, inner]);
    }
    from = to;
  });
}
