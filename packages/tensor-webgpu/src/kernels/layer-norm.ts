/**
 * Layer normalisation and its gradient. Rows are normalised by one subgroup or workgroup each; the column sums of the gradient are taken over
 * chunks of rows, then over chunks, in a fixed order.
 */
import { sizeOf } from '../shape.js';
import { type EpilogueText, epilogueBindings, epilogueText } from './epilogue.js';
import { unroll } from './forms.js';
import { defineKernel, type LoweringContext, spread, type ValueRef } from './kernel.js';
import { loadRow, type RowForm, rowForm, rowSum, rowsPerSubgroup, storeRow } from './row-form.js';
import { LANES, WORKGROUP_SUM } from './workgroup-sum.js';

type LayerNormContext = LoweringContext<{ readonly eps: number }>;

/** Declares the mean, mean-free c0 .. and the scale r of the row x0 .., `width` elements wide; the uniform `eps` is needed. */
export const normalizeRow = ({ vectors, exact }: RowForm, width = 'u.width') => `
    let mean = ${rowSum(vectors, (v) => `dot(x${v}, vec4f(1.0))`)} / f32(${width});
    ${unroll(vectors, (v) => (exact ? `let c${v} = x${v} - mean;` : `let c${v} = select(vec4f(), x${v} - mean, lane + ${v * 8}u < W4);`))}
    let r = inverseSqrt(${rowSum(vectors, (v) => `dot(c${v}, c${v})`)} / f32(${width}) + u.eps);`;

const subgroupKernel = defineKernel<RowForm>({
  name: 'layer-norm-subgroup',
  bindings: { x: 'read', weight: 'read', bias: 'read', y: 'write' },
  types: () => ({ x: 'vec4f', weight: 'vec4f', bias: 'vec4f', y: 'vec4f' }),
  uniforms: { rows: 'u32', width: 'u32', chunk: 'u32', eps: 'f32' },
  subgroups: () => true,
  wgsl: (form) => `
@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = (group.y * 65535u + group.x) * u.chunk;
  let W4 = u.width / 4u;
  ${loadRow(form, 'weight', '0u')}
  ${loadRow(form, 'bias', '0u')}
  for (var row = first; row < min(first + u.chunk, u.rows); row++) {
    let at = row * W4;
    ${loadRow(form, 'x', 'at')}
    ${normalizeRow(form)}
    ${storeRow(form, 'y', 'at', (v) => `c${v} * r * weight${v} + bias${v}`)}
  }
}`,
});

/** The mean and the scale r of row x[at ..]. */
const ROW_STATISTICS = `
  var sum = 0.0;
  for (var i = lane; i < u.width; i += ${LANES}u) { sum += x[at + i]; }
  let mean = total(sum, lane) / f32(u.width);
  var squares = 0.0;
  for (var i = lane; i < u.width; i += ${LANES}u) { let c = x[at + i] - mean; squares += c * c; }
  let r = inverseSqrt(total(squares, lane) / f32(u.width) + u.eps);`;

const workgroupKernel = defineKernel({
  name: 'layer-norm',
  bindings: { x: 'read', weight: 'read', bias: 'read', y: 'write' },
  uniforms: { rows: 'u32', width: 'u32', eps: 'f32' },
  wgsl: () => `${WORKGROUP_SUM}
@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.y * 65535u + group.x;
  if (row >= u.rows) { return; }
  let at = row * u.width;
  ${ROW_STATISTICS}
  for (var i = lane; i < u.width; i += ${LANES}u) { y[at + i] = (x[at + i] - mean) * r * weight[i] + bias[i]; }
}`,
});

export function lowerLayerNorm(context: LayerNormContext): void {
  const { shape } = context.inputs[0];
  const width = shape[shape.length - 1];
  const rows = sizeOf(shape.slice(0, -1));
  const { eps } = context.attributes;
  if (rows * width === 0) return;
  const bindings = { x: context.input(0), weight: context.input(1), bias: context.input(2), y: context.output(0) };
  const form = rowForm(context.adapter, width);
  if (form !== undefined) {
    const chunk = rowsPerSubgroup(rows);
    context.call(subgroupKernel, {
      parameters: form,
      bindings,
      uniforms: { rows, width, chunk, eps },
      workgroups: spread(Math.ceil(rows / chunk)),
    });
  } else context.call(workgroupKernel, { parameters: {}, bindings, uniforms: { rows, width, eps }, workgroups: spread(rows) });
}

// g = dy · weight, n = c · r:   dx = r · (g − mean(g) − n · mean(g · n));   sums over rows: dweight = Σ dy · n, dbias = Σ dy
const gradSubgroupKernel = (finish: EpilogueText) =>
  defineKernel<RowForm>({
    name: 'layer-norm-grad-subgroup',
    bindings: { dy: 'read', x: 'read', weight: 'read', dx: 'write', sums: 'write', ...finish.bindings },
    types: () => ({ dy: 'vec4f', x: 'vec4f', weight: 'vec4f', dx: 'vec4f', sums: 'vec4f', ...finish.types }),
    uniforms: { rows: 'u32', width: 'u32', chunk: 'u32', eps: 'f32' },
    subgroups: () => true,
    wgsl: (form) => `${finish.wgsl}
@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let number = group.y * 65535u + group.x;
  let first = number * u.chunk;
  if (first >= u.rows) { return; }
  let W4 = u.width / 4u;
  ${loadRow(form, 'weight', '0u')}
  ${unroll(form.vectors, (v) => `var dweight${v} = vec4f(); var dbias${v} = vec4f();`)}
  for (var row = first; row < min(first + u.chunk, u.rows); row++) {
    let at = row * W4;
    ${loadRow(form, 'x', 'at')}
    ${loadRow(form, 'dy', 'at')}
    ${normalizeRow(form)}
    ${unroll(form.vectors, (v) => `let n${v} = c${v} * r; let g${v} = dy${v} * weight${v}; dweight${v} += dy${v} * n${v}; dbias${v} += dy${v};`)}
    let meanG = ${rowSum(form.vectors, (v) => `dot(g${v}, vec4f(1.0))`)} / f32(u.width);
    let meanGN = ${rowSum(form.vectors, (v) => `dot(g${v}, n${v})`)} / f32(u.width);
    ${storeRow(form, 'dx', 'at', (v) => `finish(r * (g${v} - meanG - n${v} * meanGN), at + lane + ${v * 8}u, lane + ${v * 8}u)`)}
  }
  let to = number * 2u * W4;
  ${storeRow(form, 'sums', 'to', (v) => `dweight${v}`)}
  ${storeRow(form, 'sums', 'to + W4', (v) => `dbias${v}`)}
}`,
  });

const gradRowsKernel = (finish: EpilogueText) =>
  defineKernel({
    name: 'layer-norm-grad-rows',
    bindings: { dy: 'read', x: 'read', weight: 'read', dx: 'write', statistics: 'write', ...finish.bindings },
    types: () => finish.types,
    uniforms: { rows: 'u32', width: 'u32', eps: 'f32' },
    wgsl: () => `${finish.wgsl}${WORKGROUP_SUM}
@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.y * 65535u + group.x;
  if (row >= u.rows) { return; }
  let at = row * u.width;
  ${ROW_STATISTICS}
  var sumG = 0.0;
  var sumGN = 0.0;
  for (var i = lane; i < u.width; i += ${LANES}u) {
    let g = dy[at + i] * weight[i];
    sumG += g;
    sumGN += g * (x[at + i] - mean) * r;
  }
  let meanG = total(sumG, lane) / f32(u.width);
  let meanGN = total(sumGN, lane) / f32(u.width);
  for (var i = lane; i < u.width; i += ${LANES}u) {
    dx[at + i] = finish(r * (dy[at + i] * weight[i] - meanG - (x[at + i] - mean) * r * meanGN), at + i, i);
  }
  if (lane == 0u) {
    statistics[row * 2u] = mean;
    statistics[row * 2u + 1u] = r;
  }
}`,
  });

/** One thread per column and chunk of rows. */
const gradColumnsKernel = defineKernel({
  name: 'layer-norm-grad-columns',
  bindings: { dy: 'read', x: 'read', statistics: 'read', sums: 'write' },
  uniforms: { rows: 'u32', width: 'u32', chunk: 'u32', count: 'u32' },
  wgsl: () => `
@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * 65535u + group.x) * ${LANES}u + lane;
  if (i >= u.count) { return; }
  let number = i / u.width;
  let column = i - number * u.width;
  var dweight = 0.0;
  var dbias = 0.0;
  for (var row = number * u.chunk; row < min((number + 1u) * u.chunk, u.rows); row++) {
    let d = dy[row * u.width + column];
    dweight += d * (x[row * u.width + column] - statistics[row * 2u]) * statistics[row * 2u + 1u];
    dbias += d;
  }
  sums[number * 2u * u.width + column] = dweight;
  sums[(number * 2u + 1u) * u.width + column] = dbias;
}`,
});

const gradSumsKernel = defineKernel({
  name: 'layer-norm-grad-sums',
  bindings: { sums: 'read', dweight: 'write', dbias: 'write' },
  uniforms: { chunks: 'u32', width: 'u32' },
  wgsl: () => `
@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let column = id.x;
  if (column >= u.width) { return; }
  var weight = 0.0;
  var bias = 0.0;
  for (var i = 0u; i < u.chunks; i++) {
    weight += sums[i * 2u * u.width + column];
    bias += sums[(i * 2u + 1u) * u.width + column];
  }
  dweight[column] = weight;
  dbias[column] = bias;
}`,
});

export function lowerLayerNormGrad(context: LayerNormContext): void {
  const { shape } = context.inputs[1];
  const width = shape[shape.length - 1];
  const rows = sizeOf(shape.slice(0, -1));
  const { eps } = context.attributes;
  const { epilogue } = context;
  if (width === 0) return;
  const [dy, x, weight, dx] = [context.input(0), context.input(1), context.input(2), context.output(0)];
  const form = rowForm(context.adapter, width);
  const chunk = form === undefined ? 32 : Math.max(16, rowsPerSubgroup(rows));
  const chunks = Math.ceil(rows / chunk);
  const sums: ValueRef = context.scratch(Math.max(chunks, 1) * 2 * width);
  if (rows > 0 && form !== undefined) {
    context.call(gradSubgroupKernel(epilogueText(epilogue, 4)), {
      parameters: form,
      bindings: { dy, x, weight, dx, sums, ...epilogueBindings(epilogue) },
      uniforms: { rows, width, chunk, eps },
      workgroups: spread(chunks),
    });
  } else if (rows > 0) {
    const statistics = context.scratch(rows * 2);
    const count = chunks * width;
    context.call(gradRowsKernel(epilogueText(epilogue, 1)), {
      parameters: {},
      bindings: { dy, x, weight, dx, statistics, ...epilogueBindings(epilogue) },
      uniforms: { rows, width, eps },
      workgroups: spread(rows),
    });
    context.call(gradColumnsKernel, {
      parameters: {},
      bindings: { dy, x, statistics, sums },
      uniforms: { rows, width, chunk, count },
      workgroups: spread(Math.ceil(count / LANES)),
    });
  }
  context.call(gradSumsKernel, {
    parameters: {},
    bindings: { sums, dweight: context.output(1), dbias: context.output(2) },
    uniforms: { chunks, width },
    workgroups: Math.ceil(width / 8),
  });
}
