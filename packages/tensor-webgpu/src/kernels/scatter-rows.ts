/**
 * The adjoint of a row gather, without float atomics: the positions of each table row are linked in order, then every row walks its list.
 * A link is believed only where the ids agree with it, so neither heads nor links need clearing.
 */
import { BYTES_PER_ELEMENT } from '../dtype.js';
import { sizeOf } from '../shape.js';
import { defineKernel, type LoweringContext, partsOf, spread } from './kernel.js';

const LANES = 64;

/** Elements of a row per thread. */
interface RowForm {
  readonly vector: 1 | 4;
}

const element = ({ vector }: RowForm) => (vector === 4 ? 'vec4f' : 'f32');

/** One thread for all positions: on a CPU each step costs nanoseconds. A head that is not a later position of the same id is an old value. */
const linkInTurn = `
@compute @workgroup_size(1)
fn main() {
  for (var p = i32(u.positions) - 1; p >= 0; p--) {
    let id = ids[p];
    if (id < 0 || u32(id) >= u.rows) { continue; }
    let head = heads[id];
    let known = head > p && u32(head) < u.positions && ids[clamp(head, 0, i32(u.positions) - 1)] == id;
    next[p] = select(-1, head, known);
    heads[id] = p;
  }
}`;

/** One thread per position: it looks for the next position of its id, and whether there is an earlier one. */
const linkAtOnce = `
@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let p = (group.y * 65535u + group.x) * ${LANES}u + lane;
  if (p >= u.positions) { return; }
  let id = ids[p];
  if (id < 0 || u32(id) >= u.rows) { return; }
  var first = true;
  var later = -1;
  for (var q = 0u; q < u.positions; q++) {
    let same = ids[q] == id;
    first = first && !(same && q < p);
    later = select(later, i32(q), same && q > p && later < 0);
  }
  next[p] = later;
  if (first) { heads[id] = i32(p); }
}`;

const linkKernel = defineKernel<{ readonly inTurn: boolean }>({
  name: 'scatter-rows-link',
  bindings: { ids: 'read', next: 'write', heads: 'read_write' },
  types: () => ({ ids: 'i32', next: 'i32', heads: 'i32' }),
  uniforms: { positions: 'u32', rows: 'u32' },
  wgsl: ({ inTurn }) => (inTurn ? linkInTurn : linkAtOnce),
});

const scatterKernel = defineKernel<RowForm>({
  name: 'scatter-rows-sum',
  bindings: { values: 'read', ids: 'read', next: 'read', heads: 'read', y: 'write' },
  types: (form) => ({ values: element(form), ids: 'i32', next: 'i32', heads: 'i32', y: element(form) }),
  uniforms: { count: 'u32', width: 'u32', positions: 'u32', first: 'u32' },
  wgsl: (form) => `
@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * 65535u + group.x) * ${LANES}u + lane;
  if (i >= u.count) { return; }
  let row = u.first + i / u.width;
  let column = i % u.width;
  let head = heads[row];
  var sum = ${element(form)}();
  if (head >= 0 && u32(head) < u.positions) {
    if (ids[head] == i32(row)) {
      for (var p = head; p >= 0; p = next[p]) { sum += values[u32(p) * u.width + column]; }
    }
  }
  y[i] = sum;
}`,
});

export function lowerScatterRows(context: LoweringContext<{ readonly rows: number }>): void {
  const { rows } = context.attributes;
  const columns = context.outputs[0].shape[1];
  const positions = sizeOf(context.inputs[1].shape);
  const vector = columns % 4 === 0 ? 4 : 1;
  const width = columns / vector;
  const count = rows * width;
  if (count === 0) return;
  const next = context.scratch(Math.max(positions, 1));
  const heads = context.scratch(rows);
  const inTurn = context.adapter.software;
  if (positions > 0) {
    context.call(linkKernel, {
      parameters: { inTurn },
      bindings: { ids: context.input(1), next, heads },
      uniforms: { positions, rows },
      workgroups: inTurn ? 1 : spread(Math.ceil(positions / LANES)),
    });
  }
  const maxElements = context.adapter.maxBindingBytes / BYTES_PER_ELEMENT[context.outputs[0].dtype];
  for (const { start, count: some } of partsOf(rows, columns, maxElements)) {
    const y = { ...context.output(0), range: { start: start * columns, count: some * columns } };
    context.call(scatterKernel, {
      parameters: { vector },
      bindings: { values: context.input(0), ids: context.input(1), next, heads, y },
      uniforms: { count: some * width, width, positions, first: start },
      workgroups: spread(Math.ceil((some * width) / LANES)),
    });
  }
}
