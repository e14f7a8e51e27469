/** Chooses the form of a matrix product: by adapter, shape and transposes. */
import { sizeOf } from '../../shape.js';
import { isCpuWithSubgroups } from '../forms.js';
import { type LoweringContext, spread, type ValueRef } from '../kernel.js';
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
  const bindings = { a: context.input(0), b: context.input(1), c: context.output(0) };
  const form = isCpuWithSubgroups(context.adapter) ? subgroupForm({ transposeA, transposeB }, [M, N, K]) : undefined;
  if (form !== undefined) {
    const columns = Math.ceil(N / (32 * form.vectors));
    const rows = rowsPerGroup(M, columns * batches);
    const rowsOfA = transposeA ? transposed(context, [batches, M, K]) : bindings.a;
    context.call(subgroupKernel, {
      parameters: form,
      bindings: { ...bindings, a: rowsOfA },
      uniforms: { M, N, K, rows, depth: form.depth },
      workgroups: [columns, Math.ceil(M / rows), batches],
    });
  } else if (context.adapter.software) {
    context.call(registerTileKernel, {
      parameters: { transposeA, transposeB },
      bindings,
      uniforms: { M, N, K },
      workgroups: [Math.ceil(N / 32), Math.ceil(M / 32), batches],
    });
  } else {
    context.call(workgroupTileKernel, {
      parameters: { transposeA, transposeB },
      bindings,
      uniforms: { M, N, K },
      workgroups: [Math.ceil(N / 64), Math.ceil(M / 64), batches],
    });
  }
}
