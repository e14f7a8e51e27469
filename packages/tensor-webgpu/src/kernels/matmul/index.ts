/** Chooses the form of a matrix product: by adapter, shape and transposes. */
import { sizeOf } from '../../shape.js';
import { epilogueBindings } from '../epilogue.js';
import { isCpuWithSubgroups } from '../forms.js';
import { type LoweringContext, spread, type ValueRef } from '../kernel.js';
import { fewRowsKernel, MAX_FEW_ROWS } from './few-rows.js';
import { registerTileKernel, type Transposes } from './register-tile.js';
import { subgroupForm, subgroupKernel, transposeKernel } from './subgroup.js';
import { workgroupTileKernel } from './workgroup-tile.js';

/** Few enough workgroups to pay for loading a block of B, enough for all cores. */
const WORKGROUPS = 8;
const MIN_ROWS = 64;
const MAX_ROWS = 512;

/** Rows of C per workgroup of the subgroup form. */
function rowsPerGroup(M: number, groups: number): number {
  const wanted = Math.ceil(M / Math.max(1, Math.ceil(WORKGROUPS / groups)));
  return Math.min(MAX_ROWS, Math.max(MIN_ROWS, wanted));
}

/** A, stored [.., K, M], as [.., M, K]. */
function transposed(context: LoweringContext<Transposes>, [batches, M, K]: readonly [number, number, number]): ValueRef {
  const y = context.scratch(batches * M * K);
  const count = (batches * M * K) / 16;
  context.call(transposeKernel, {
    parameters: {},
    bindings: { a: context.input(0), y },
    uniforms: { M, K, count },
    workgroups: spread(Math.ceil(count / 64)),
  });
  return y;
}

export function lowerMatmul(context: LoweringContext<Transposes>): void {
  const [a] = context.inputs;
  const { transposeA, transposeB } = context.attributes;
  const [M, N] = context.outputs[0].shape.slice(-2);
  const K = a.shape[a.shape.length - (transposeA ? 2 : 1)];
  const batches = sizeOf(context.outputs[0].shape.slice(0, -2));
  const { epilogue } = context;
  const bindings = { a: context.input(0), b: context.input(1), c: context.output(0), ...epilogueBindings(epilogue) };
  const form = isCpuWithSubgroups(context.adapter) ? subgroupForm({ transposeA, transposeB }, [M, N, K]) : undefined;
  if (form !== undefined && M <= MAX_FEW_ROWS && !transposeA) {
    const workgroups = [Math.ceil(N / (32 * form.vectors)), 1, batches] as const;
    context.call(fewRowsKernel({ ...form, rows: M }, epilogue), { parameters: {}, bindings, uniforms: { N, K }, workgroups });
  } else if (form !== undefined) {
    const columns = Math.ceil(N / (32 * form.vectors));
    const rows = rowsPerGroup(M, columns * batches);
    const narrow = context.outputs[0].dtype === 'f16' && K > form.depth;
    context.call(subgroupKernel(form, epilogue, narrow ? 'sums' : 'c'), {
      parameters: {},
      bindings: {
        ...bindings,
        ...(narrow ? { sums: context.scratch(batches * M * N) } : {}),
        a: transposeA ? transposed(context, [batches, M, K]) : bindings.a,
      },
      uniforms: { M, N, K, rows, depth: form.depth },
      workgroups: [columns, Math.ceil(M / rows), batches],
    });
  } else {
    const [makeKernel, tile] = context.adapter.software ? ([registerTileKernel, 32] as const) : ([workgroupTileKernel, 64] as const);
    context.call(makeKernel({ transposeA, transposeB }, epilogue), {
      parameters: {},
      bindings,
      uniforms: { M, N, K },
      workgroups: [Math.ceil(N / tile), Math.ceil(M / tile), batches],
    });
  }
}
