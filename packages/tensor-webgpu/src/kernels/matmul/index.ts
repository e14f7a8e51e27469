/** Chooses the form of a matrix product: by adapter, shape and transposes, or as measured. */
import type { TensorType } from '../../graph/op.js';
import type { QuantizedFormat } from '../../quantize.js';
import { sizeOf } from '../../shape.js';
import { epilogueBindings } from '../epilogue.js';
import { isCpuWithSubgroups } from '../forms.js';
import { type AdapterTraits, type LoweringContext, spread, type ValueRef } from '../kernel.js';
import { rowForm } from '../row-form.js';
import { fewRowsKernel, MAX_FEW_ROWS } from './few-rows.js';
import { registerTileKernel } from './register-tile.js';
import type { ProductForm, RightOperand } from './right-operand.js';
import { lowerInParts, needsParts, type Transposes } from './split.js';
import { type SubgroupForm, subgroupForm, subgroupKernel, transposeKernel } from './subgroup.js';
import { type TileSize, workgroupTileKernel } from './workgroup-tile.js';

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
function transposed(context: LoweringContext, [batches, M, K]: readonly [number, number, number]): ValueRef {
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

/** The forms that take these sizes, the one that is best without measuring first. */
function formsFor(
  { software }: AdapterTraits,
  subgroup: SubgroupForm | undefined,
  [M, N]: readonly [number, number],
): readonly MatmulForm[] {
  // One vector of columns per lane or two: the same sums, shared out differently.
  if (subgroup !== undefined) return subgroup.vectors === 2 ? ['subgroup', 'subgroup-narrow'] : ['subgroup'];
  if (software) return ['register-tile', 'tile-64'];
  return M * N >= 1024 * 1024 ? ['tile-128', 'tile-64', 'tile-32', 'register-tile'] : ['tile-64', 'tile-128', 'tile-32', 'register-tile'];
}

type MatmulForm = 'subgroup' | 'subgroup-narrow' | 'register-tile' | `tile-${TileSize}`;

/** Bindings of a product with an epilogue of the most operands, and of a norm. */
const NORMALIZED_BINDINGS = 10;

/** Whether the form for a few rows takes these sizes: it normalises rows of A in registers as it reads them. */
function takesNormalized(
  form: ProductForm,
  inputs: readonly TensorType[],
  [output]: readonly TensorType[],
  adapter: AdapterTraits,
): boolean {
  const [M, N] = output.shape.slice(-2);
  const K = inputs[0].shape.at(-1) ?? 0;
  return (
    isCpuWithSubgroups(adapter) &&
    adapter.maxStorageBuffers >= NORMALIZED_BINDINGS &&
    M <= MAX_FEW_ROWS &&
    !form.transposeA &&
    subgroupForm(form, [M, N, K]) !== undefined &&
    rowForm(adapter, K) !== undefined
  );
}

const rightOf = ({ transposeB }: Transposes): RightOperand => (transposeB ? 'transposed' : 'plain');

export function productTakesNormalized(
  inputs: readonly TensorType[],
  outputs: readonly TensorType[],
  attributes: Transposes,
  adapter: AdapterTraits,
): boolean {
  const form = { transposeA: attributes.transposeA, right: rightOf(attributes) };
  return takesNormalized(form, inputs, outputs, adapter) && !needsParts({ inputs, outputs, adapter });
}

export function quantizedProductTakesNormalized(
  inputs: readonly TensorType[],
  outputs: readonly TensorType[],
  { format }: { readonly format: QuantizedFormat },
  adapter: AdapterTraits,
): boolean {
  return takesNormalized({ transposeA: false, right: format }, inputs, outputs, adapter);
}

export function lowerMatmul(context: LoweringContext<Transposes>): void {
  if (needsParts(context)) {
    lowerInParts(context);
    return;
  }
  const { transposeA } = context.attributes;
  lowerProduct(context, { transposeA, right: rightOf(context.attributes) }, { b: context.input(1) });
}

export function lowerQuantizedMatmul(context: LoweringContext<{ readonly format: QuantizedFormat }>): void {
  const right = context.attributes.format;
  lowerProduct(context, { transposeA: false, right }, { words: context.input(1), scales: context.input(2) });
}

function lowerProduct(context: LoweringContext, product: ProductForm, b: Readonly<Record<string, ValueRef>>): void {
  const [a] = context.inputs;
  const { transposeA, right } = product;
  const [M, N] = context.outputs[0].shape.slice(-2);
  const K = a.shape[a.shape.length - (transposeA ? 2 : 1)];
  const batches = sizeOf(context.outputs[0].shape.slice(0, -2));
  const { epilogue } = context;
  const bindings = { a: context.input(0), ...b, c: context.output(0), ...epilogueBindings(epilogue) };
  const subgroup = isCpuWithSubgroups(context.adapter) ? subgroupForm(product, [M, N, K]) : undefined;
  // Rows count in the choice only where a row's sums may depend on it.
  const rows = context.batchInvariant ? 'any' : 2 ** Math.ceil(Math.log2(Math.max(1, M)));
  const stored = right === 'plain' ? '' : right === 'transposed' ? ' B transposed' : ` B ${right}`;
  const key = `matmul${transposeA ? ' A transposed' : ''}${stored} ${rows} x ${N} x ${K}`;
  const form = context.choose(key, formsFor(context.adapter, subgroup, [M, N]));
  if (subgroup !== undefined)
    lowerSubgroup(context, transposeA, form === 'subgroup' ? subgroup : { ...subgroup, vectors: 1 }, bindings, [batches, M, N, K]);
  else {
    const tile = form === 'register-tile' ? 32 : (Number(form.slice('tile-'.length)) as TileSize);
    const kernel = form === 'register-tile' ? registerTileKernel(product, epilogue) : workgroupTileKernel(product, tile, epilogue);
    context.call(kernel, {
      parameters: {},
      bindings,
      uniforms: { M, N, K },
      workgroups: [Math.ceil(N / tile), Math.ceil(M / tile), batches],
    });
  }
}

function lowerSubgroup(
  context: LoweringContext,
  transposeA: boolean,
  form: SubgroupForm,
  bindings: Readonly<Record<string, ValueRef>>,
  [batches, M, N, K]: readonly [number, number, number, number],
): void {
  const { epilogue } = context;
  const columns = Math.ceil(N / (32 * form.vectors));
  if (M <= MAX_FEW_ROWS && !transposeA) {
    const { normalized } = context;
    const row = normalized && rowForm(context.adapter, K);
    const kernel = fewRowsKernel({ ...form, rows: M }, epilogue, row && { norm: normalized.norm, row });
    context.call(kernel, {
      parameters: {},
      bindings: {
        ...bindings,
        ...(normalized && { weight: normalized.weight }),
        ...(normalized?.bias && { bias: normalized.bias }),
      },
      uniforms: { N, K, lanes: 8, ...(normalized && { eps: normalized.eps }) },
      workgroups: [columns, 1, batches],
    });
    return;
  }
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
}
