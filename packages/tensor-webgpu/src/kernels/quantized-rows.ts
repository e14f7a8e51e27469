/** Rows of a quantised matrix, decoded: all of them, or those of ids. A thread decodes four neighbours of a row. */
import type { QuantizedFormat } from '../quantize.js';
import { sizeOf } from '../shape.js';
import { type Epilogue, epilogueBindings, epilogueText } from './epilogue.js';
import { defineKernel, type Kernel, type LoweringContext, spread } from './kernel.js';
import { fourWeightsFunction, weightFunction } from './quantized.js';

const LANES = 64;

interface RowsForm {
  readonly format: QuantizedFormat;
  /** Elements of a row per thread. */
  readonly vector: 1 | 4;
  /** Rows in their order, or by id: below zero, zeros. */
  readonly ids: boolean;
}

function rowsKernel({ format, vector, ids }: RowsForm, epilogue: Epilogue | undefined): Kernel<object> {
  const finish = epilogueText(epilogue, vector);
  const type = vector === 4 ? 'vec4f' : 'f32';
  return defineKernel<object>({
    name: 'quantized-rows',
    bindings: { words: 'read', scales: 'read', ...(ids && { ids: 'read' as const }), y: 'write', ...finish.bindings },
    types: () => ({ words: 'u32', ids: 'i32', y: type, ...finish.types }),
    uniforms: { count: 'u32', K: 'u32' },
    wgsl: () => `${vector === 4 ? fourWeightsFunction(format, 'u.K') : weightFunction(format, 'u.K')}
${finish.wgsl}
@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * 65535u + group.x) * ${LANES}u + lane;
  if (i >= u.count) { return; }
  let width = u.K / ${vector}u;
  let position = i / width;
  let column = i - position * width;
  let id = ${ids ? 'ids[position]' : 'i32(position)'};
  let row = select(${type}(), ${vector === 4 ? 'fourWeights' : 'weight'}(u32(max(id, 0)), column), id >= 0);
  y[i] = finish(row, i, column);
}`,
  });
}

/** @param context inputs: words, scales, and ids where rows are gathered */
export function lowerQuantizedRows(context: LoweringContext<{ readonly format: QuantizedFormat }>): void {
  const [{ shape }] = context.outputs;
  const K = shape[shape.length - 1];
  const vector = K % 4 === 0 ? 4 : 1;
  const count = sizeOf(shape) / vector;
  if (count === 0) return;
  const ids = context.inputs.length === 3;
  context.call(rowsKernel({ format: context.attributes.format, vector, ids }, context.epilogue), {
    parameters: {},
    bindings: {
      words: context.input(0),
      scales: context.input(1),
      ...(ids && { ids: context.input(2) }),
      y: context.output(0),
      ...epilogueBindings(context.epilogue),
    },
    uniforms: { count, K },
    workgroups: spread(Math.ceil(count / LANES)),
  });
}
