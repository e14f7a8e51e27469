/** Chooses the form of a matrix product: by adapter, shape and transposes. */
import { sizeOf } from '../../shape.js';
import type { LoweringContext } from '../kernel.js';
import { registerTileKernel, type Transposes } from './register-tile.js';
import { subgroupDepth, subgroupKernel } from './subgroup.js';
import { workgroupTileKernel } from './workgroup-tile.js';

/** Rows of C per workgroup of the subgroup form: enough to pay for loading a block of B, few enough for both cores. */
const ROWS = 128;

export function lowerMatmul(context: LoweringContext<Transposes>): void {
  const [a] = context.inputs;
  const { transposeA, transposeB } = context.attributes;
  const [M, N] = context.outputs[0].shape.slice(-2);
  const K = a.shape[a.shape.length - (transposeA ? 2 : 1)];
  const batches = sizeOf(context.outputs[0].shape.slice(0, -2));
  const bindings = { a: context.input(0), b: context.input(1), c: context.output(0) };
  const { software, subgroups, subgroupMinSize, subgroupMaxSize } = context.adapter;
  const depth =
    software && subgroups && subgroupMinSize === 8 && subgroupMaxSize === 8
      ? subgroupDepth({ transposeA, transposeB }, [M, N, K])
      : undefined;
  if (depth !== undefined) {
    const rows = Math.min(ROWS, Math.ceil(M / 8) * 4);
    const parameters = { transposeA, transposeB, depth };
    context.call(subgroupKernel, {
      parameters,
      bindings,
      uniforms: { M, N, K, rows, depth },
      workgroups: [Math.ceil(N / 32), Math.ceil(M / rows), batches],
    });
  } else if (software) {
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
