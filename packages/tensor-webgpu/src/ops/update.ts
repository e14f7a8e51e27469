/** Ops that write variables in place: rows of a key-value cache, and AdamW over flat parameters. They run after every reader of the old value. */
import { ShapeError } from '../errors.js';
import { defineOp } from '../graph/op.js';
import { lowerAdamW, lowerGlobalNorm } from '../kernels/adamw.js';
import { lowerWriteRows } from '../kernels/write-rows.js';
import { expectShape, formatShape } from '../shape.js';
import { apply, applyAll, expectDType, expectFloat, type Tensor } from '../tensor.js';
import { fitsLengths } from './attention.js';

/** Elements per block of a flat variable set: parameters start at multiples of it, so each block belongs to one parameter. */
export const BLOCK = 64;

/**
 * The cache with rows [B, T, D] written at `positions[b]`, .., as an update of `cache`'s variable.
 * @param cache a variable [B, C, D], or blocks [N, C, D]
 * @param rows [B, T, ≥ D]; D columns from `column` on are taken, so packed keys and values need no slicing
 * @param positions [B] i32: the row of each sequence's first new one; or [B, 1 + M]: that row, and the M blocks of its sequence, see
 *   `cachedAttention`; no row may be in two places of a call. Rows beyond are left out
 */
export function writeRows(cache: Tensor, rows: Tensor, positions: Tensor, { column = 0 }: { readonly column?: number } = {}): Tensor {
  expectFloat('writeRows', { cache, rows });
  expectDType('writeRows', { positions }, 'i32');
  return apply(writeRowsOp, [cache, rows, positions], { column });
}

/** n caches of one shape, then as many rows, then the positions, which are the same for all. Outputs: the caches with their rows. */
export const writeRowsOp = defineOp<{ readonly column: number }>({
  name: 'writeRows',
  kind: 'update',
  infer: (inputs, { column }) => {
    const count = (inputs.length - 1) / 2;
    const [cache, rows, positions] = [inputs[0], inputs[count], inputs[2 * count]];
    const fits =
      cache.shape.length === 3 &&
      rows.shape.length === 3 &&
      column + cache.shape[2] <= rows.shape[2] &&
      fitsLengths(positions, cache, rows.shape[0]);
    if (!fits)
      throw new ShapeError(
        `writeRows: rows ${formatShape(rows.shape)} from column ${column} and positions ${formatShape(positions.shape)} do not fit cache ${formatShape(cache.shape)}`,
      );
    return inputs.slice(0, count);
  },
  evaluate: (inputs, outputs, { inputs: types }, { column }) => {
    const [, C, D] = types[0].shape;
    const [B, T, width] = types[outputs.length].shape;
    const columns = types[2 * outputs.length].shape[1] ?? 1;
    const positions = inputs[2 * outputs.length];
    outputs.forEach((y, i) => {
      y.set(inputs[i]);
      for (let b = 0; b < B; b++) {
        const table = columns === 1 ? [b] : positions.subarray(b * columns + 1, (b + 1) * columns);
        const first = positions[b * columns];
        for (let t = 0; t < T && first + t < table.length * C; t++) {
          const from = (b * T + t) * width + column;
          const block = Math.floor((first + t) / C);
          y.set(inputs[outputs.length + i].subarray(from, from + D), ((table[block] - block) * C + first + t) * D);
        }
      }
    });
  },
  lower: lowerWriteRows,
});

/** Tensors placed in one flat tensor [total] at element `offsets`; producers write there directly where the planner can arrange it. What lies between is undefined. */
export function pack(tensors: readonly Tensor[], offsets: readonly number[], total: number): Tensor {
  expectDType('pack', Object.fromEntries(tensors.map((tensor, i) => [`tensor ${i}`, tensor])), 'f32');
  return apply(packOp, tensors, { offsets, total });
}

export const packOp = defineOp<{ offsets: readonly number[]; total: number }>({
  name: 'pack',
  kind: 'compute',
  infer: (_, { total }) => [{ shape: [total], dtype: 'f32' }],
  evaluate: (inputs, [y], _, { offsets }) => {
    inputs.forEach((x, i) => {
      y.set(x, offsets[i]);
    });
  },
});

/**
 * √ Σ g² over a flat tensor's valid elements, summed in a fixed order.
 * @param flat [total] f32, total a multiple of 64
 * @param blocks [total / 64] u32: valid elements of each block in bits 0..7, its group in bits 8..
 * @returns a scalar
 */
export function globalNorm(flat: Tensor, blocks: Tensor): Tensor {
  expectShape('globalNorm', { blocks }, [flat.size / BLOCK]);
  return apply(globalNormOp, [flat, blocks], {});
}

export const globalNormOp = defineOp<Readonly<Record<string, never>>>({
  name: 'globalNorm',
  kind: 'compute',
  infer: () => [{ shape: [], dtype: 'f32' }],
  evaluate: ([flat, blocks], [y]) => {
    let sum = 0;
    for (let block = 0; block < blocks.length; block++) for (let i = 0; i < (blocks[block] & 255); i++) sum += flat[block * BLOCK + i] ** 2;
    y[0] = Math.sqrt(sum);
  },
  lower: lowerGlobalNorm,
});

export type AdamWAttributes = { readonly beta1: number; readonly beta2: number; readonly eps: number; readonly clipNorm: number };

/**
 * One AdamW step over flat parameters [Loshchilov & Hutter, 2019]: gradients are scaled by min(1, clipNorm / (norm + 1e-6)), weights decay by
 * lr · decay first.
 * @param operands parameters, gradients, first and second moments [total]; norm []; blocks as in `globalNorm`; groups [G, 2]: weight decay and
 *   learning-rate factor; rates [4]: learning rate, 1 − β1ᵗ, 1 − β2ᵗ, and what gradients and norm
 *   are multiplied by first. A step whose norm is no finite number changes nothing
 * @returns the new parameters, first and second moments
 */
export function adamWUpdate(
  {
    parameters,
    gradients,
    firstMoments,
    secondMoments,
    norm,
    blocks,
    groups,
    rates,
  }: Readonly<Record<'parameters' | 'gradients' | 'firstMoments' | 'secondMoments' | 'norm' | 'blocks' | 'groups' | 'rates', Tensor>>,
  attributes: AdamWAttributes,
): [Tensor, Tensor, Tensor] {
  expectShape('adamW', { gradients, firstMoments, secondMoments }, parameters.shape);
  expectShape('adamW', { blocks }, [parameters.size / BLOCK]);
  expectShape('adamW', { groups }, [undefined, 2]);
  expectShape('adamW', { rates }, [4]);
  const [p, m, v] = applyAll(adamWOp, [parameters, firstMoments, secondMoments, gradients, norm, blocks, groups, rates], attributes);
  return [p, m, v];
}

export const adamWOp = defineOp<AdamWAttributes>({
  name: 'adamW',
  kind: 'update',
  infer: ([p, m, v]) => [p, m, v],
  evaluate: ([p, m, v, g, norm, blocks, groups, rates], [newP, newM, newV], _, { beta1, beta2, eps, clipNorm }) => {
    const clip = rates[3] * Math.min(1, clipNorm / (norm[0] * rates[3] + 1e-6));
    newP.set(p);
    newM.set(m);
    newV.set(v);
    if (!Number.isFinite(norm[0])) return;
    for (let block = 0; block < blocks.length; block++) {
      const [decay, factor] = groups.subarray((blocks[block] >> 8) * 2, (blocks[block] >> 8) * 2 + 2);
      const rate = rates[0] * factor;
      for (let i = block * BLOCK; i < block * BLOCK + (blocks[block] & 255); i++) {
        const gradient = g[i] * clip;
        newM[i] = beta1 * m[i] + (1 - beta1) * gradient;
        newV[i] = beta2 * v[i] + (1 - beta2) * gradient * gradient;
        newP[i] = p[i] * (1 - rate * decay) - (rate * (newM[i] / rates[1])) / (Math.sqrt(newV[i] / rates[2]) + eps);
      }
    }
  },
  lower: lowerAdamW,
});
