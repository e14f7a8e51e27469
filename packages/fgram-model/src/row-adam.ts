/**
 * Adam over those rows of a table that a step touches: the others, and their moments, stay as they are, so a step costs what its batch does,
 * however large the table is. Bias is corrected by the steps of the run, as for every other parameter. [Kingma & Ba, 2015]
 */
import {
  applyAll,
  type Device,
  defineKernel,
  defineOp,
  type LoweringContext,
  ShapeError,
  spread,
  type Tensor,
  type Update,
  update,
  type Variable,
  type VariableSet,
} from '@sconelm/tensor-webgpu';

export interface RowAdamOptions {
  readonly beta1?: number;
  readonly beta2?: number;
  readonly eps?: number;
  /** The rows' learning rate as a share of the step's. */
  readonly rateFactor?: number;
}

type RowAdamAttributes = { readonly beta1: number; readonly beta2: number; readonly eps: number; readonly rateFactor: number };

export class RowAdam implements Disposable {
  /** 'm' and 'v': first and second moments, [rows, D]. */
  readonly moments: VariableSet;
  readonly #table: Variable;
  readonly #attributes: RowAdamAttributes;

  /** @param table [rows, D] */
  constructor(device: Device, table: Variable, { beta1 = 0.9, beta2 = 0.95, eps = 1e-8, rateFactor = 1 }: RowAdamOptions = {}) {
    this.#table = table;
    this.#attributes = { beta1, beta2, eps, rateFactor };
    this.moments = device.variables({ 'row.m': { shape: table.shape }, 'row.v': { shape: table.shape } }, 'row moments');
  }

  /**
   * @param gradients [N, D] @param ids [N] i32, each row at most once; those below zero are left out
   * @param rates [4]: as `AdamW.rates` gives them
   * @param norm scalar, of the other gradients: where it is no finite number, the step is left out
   */
  step(gradients: Tensor, ids: Tensor, rates: Tensor, norm: Tensor): Update[] {
    const [m, v] = [this.moments.get('row.m'), this.moments.get('row.v')];
    const values = applyAll(rowAdamOp, [this.#table.tensor, m.tensor, v.tensor, gradients, ids, rates, norm], this.#attributes);
    return [this.#table, m, v].map((variable, i) => update(variable, values[i]));
  }

  [Symbol.dispose](): void {
    this.moments[Symbol.dispose]();
  }
}

const LANES = 64;

const kernel = defineKernel<object>({
  name: 'row-adam',
  bindings: { p: 'read_write', m: 'read_write', v: 'read_write', g: 'read', ids: 'read', rates: 'read', norm: 'read' },
  types: () => ({ ids: 'i32' }),
  uniforms: { count: 'u32', width: 'u32', first: 'u32', rows: 'u32', beta1: 'f32', beta2: 'f32', eps: 'f32', factor: 'f32' },
  wgsl: () => `
@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * 65535u + group.x) * ${LANES}u + lane;
  if (i >= u.count) { return; }
  let position = i / u.width;
  let id = ids[position];
  if (id < 0 || u32(id) < u.first || u32(id) - u.first >= u.rows) { return; }
  let gradient = g[i] * rates[3];
  if ((bitcast<u32>(norm[0]) & 0x7f800000u) == 0x7f800000u || (bitcast<u32>(gradient) & 0x7f800000u) == 0x7f800000u) { return; }
  let at = (u32(id) - u.first) * u.width + i - position * u.width;
  let first = u.beta1 * m[at] + (1.0 - u.beta1) * gradient;
  let second = u.beta2 * v[at] + (1.0 - u.beta2) * gradient * gradient;
  m[at] = first;
  v[at] = second;
  p[at] = p[at] - (rates[0] * u.factor * (first / rates[1])) / (sqrt(second / rates[2]) + u.eps);
}`,
});

const rowAdamOp = defineOp<RowAdamAttributes>({
  name: 'rowAdam',
  kind: 'update',
  infer: ([p, m, v, g, ids]) => {
    if (ids.dtype !== 'i32' || g.shape.join() !== [ids.shape[0], p.shape[1]].join())
      throw new ShapeError(`rowAdam: gradients [${g.shape}] and ids ${ids.dtype}[${ids.shape}] for a table [${p.shape}]`);
    return [p, m, v];
  },
  evaluate: ([p, m, v, g, ids, rates, norm], [newP, newM, newV], { inputs }, { beta1, beta2, eps, rateFactor }) => {
    newP.set(p);
    newM.set(m);
    newV.set(v);
    if (!Number.isFinite(norm[0])) return;
    const width = inputs[0].shape[1];
    for (let i = 0; i < g.length; i++) {
      const id = ids[Math.floor(i / width)];
      const gradient = g[i] * rates[3];
      if (id < 0 || !Number.isFinite(gradient)) continue;
      const at = id * width + (i % width);
      newM[at] = beta1 * m[at] + (1 - beta1) * gradient;
      newV[at] = beta2 * v[at] + (1 - beta2) * gradient * gradient;
      newP[at] = p[at] - (rates[0] * rateFactor * (newM[at] / rates[1])) / (Math.sqrt(newV[at] / rates[2]) + eps);
    }
  },
  lower: lowerRowAdam,
});

/** Bindings begin where this many rows do, whatever their width. */
const ROW_UNIT = 128;

function lowerRowAdam(context: LoweringContext<RowAdamAttributes>): void {
  const { rateFactor: factor, ...attributes } = context.attributes;
  const [rows, width] = context.outputs[0].shape;
  const count = context.inputs[3].shape[0] * width;
  // A table larger than a binding is worked on in parts, each of which takes its own rows.
  const most = Math.max(1, Math.floor(context.adapter.maxBindingBytes / 4 / width / ROW_UNIT)) * ROW_UNIT;
  for (let first = 0; first < rows; first += most) {
    const some = Math.min(most, rows - first);
    const part = (index: number) => ({ ...context.output(index), range: { start: first * width, count: some * width } });
    context.call(kernel, {
      parameters: {},
      bindings: {
        ...{ p: part(0), m: part(1), v: part(2) },
        ...{ g: context.input(3), ids: context.input(4), rates: context.input(5), norm: context.input(6) },
      },
      uniforms: { count, width, first, rows: some, ...attributes, factor },
      workgroups: spread(Math.ceil(count / LANES)),
    });
  }
}
