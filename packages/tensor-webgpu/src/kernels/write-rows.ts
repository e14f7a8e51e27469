/** Rows written into key-value caches in place, those of several caches at once. */
import { sizeOf } from '../shape.js';
import { type Places, placeFunctions, placesOf } from './attention/places.js';
import { unroll } from './forms.js';
import { defineKernel, type LoweringContext, spread } from './kernel.js';

const LANES = 64;

const each = <T>(count: number, name: string, value: (index: number) => T): Record<string, T> =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`${name}${i}`, value(i)]));

const writeRowsKernel = (caches: number) =>
  defineKernel<Places>({
    name: 'write-rows',
    bindings: { ...each(caches, 'cache', () => 'read_write' as const), ...each(caches, 'rows', () => 'read' as const), positions: 'read' },
    types: () => ({ positions: 'i32' }),
    uniforms: { count: 'u32', T: 'u32', capacity: 'u32', rows: 'u32', D: 'u32', stride: 'u32', column: 'u32' },
    wgsl: (places) => `${placeFunctions(places, 'positions')}
@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * 65535u + group.x) * ${LANES}u + lane;
  if (i >= u.count) { return; }
  let row = i / u.D;
  let d = i - row * u.D;
  let b = row / u.T;
  let position = lengthOf(b) + row - b * u.T;
  if (position >= u.rows) { return; }
  let to = (rowsFrom(b, position) + position) * u.D + d;
  let from_ = row * u.stride + u.column + d;
  ${unroll(caches, (i) => `cache${i}[to] = rows${i}[from_];`)}
}`,
  });

export function lowerWriteRows(context: LoweringContext<{ readonly column: number }>): void {
  const caches = context.outputs.length;
  const cache = context.outputs[0].shape;
  const positions = context.inputs[2 * caches].shape;
  const places = placesOf(positions, cache);
  const [, C, D] = cache;
  const [B, T, stride] = context.inputs[caches].shape;
  const count = sizeOf([B, T, D]);
  if (count === 0) return;
  const sizes = places.blockRows === 0 ? { capacity: C, rows: C } : { capacity: positions[1], rows: (positions[1] - 1) * C };
  context.call(writeRowsKernel(caches), {
    parameters: places,
    bindings: {
      ...each(caches, 'cache', (i) => context.output(i)),
      ...each(caches, 'rows', (i) => context.input(caches + i)),
      positions: context.input(2 * caches),
    },
    uniforms: { count, T, ...sizes, D, stride, column: context.attributes.column },
    workgroups: spread(Math.ceil(count / LANES)),
  });
}
