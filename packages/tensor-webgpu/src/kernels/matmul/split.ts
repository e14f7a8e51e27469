/**
 * Products with operands larger than a binding: part by part, each thread a 4 × 4 tile as in the register form. Parts of C's rows and columns
 * are products of their own; parts along K add to what earlier ones left.
 */
import { BYTES_PER_ELEMENT } from '../../dtype.js';
import { sizeOf } from '../../shape.js';
import { type AdapterTraits, defineKernel, type LoweringContext, RANGE_UNIT, type Range, type ValueRef } from '../kernel.js';

/** Which operands are stored transposed. */
export type Transposes = {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
};

const SIDE = [0, 1, 2, 3];

/** `a_first`, `b_first` and `c_first` say where the part begins in what is bound. */
const partKernel = defineKernel<Transposes>({
  name: 'matmul-part',
  bindings: { a: 'read', b: 'read', c: 'read_write' },
  uniforms: {
    M: 'u32',
    N: 'u32',
    K: 'u32',
    a_stride: 'u32',
    b_stride: 'u32',
    c_stride: 'u32',
    a_first: 'u32',
    b_first: 'u32',
    c_first: 'u32',
    adds: 'u32',
  },
  wgsl: ({ transposeA, transposeB }) => `
@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.y * 4u;
  let column = id.x * 4u;
  if (row >= u.M || column >= u.N) { return; }
  ${SIDE.map((i) => `let m${i} = min(row + ${i}u, u.M - 1u); let n${i} = min(column + ${i}u, u.N - 1u); var s${i} = vec4f();`).join('\n  ')}
  for (var k = 0u; k < u.K; k++) {
    let right = vec4f(${SIDE.map((j) => `b[u.b_first + ${transposeB ? `n${j} * u.b_stride + k` : `k * u.b_stride + n${j}`}]`).join(', ')});
    ${SIDE.map((i) => `s${i} = fma(vec4f(a[u.a_first + ${transposeA ? `k * u.a_stride + m${i}` : `m${i} * u.a_stride + k`}]), right, s${i});`).join('\n    ')}
  }
  ${SIDE.map(
    (i) => `if (row + ${i}u < u.M) {
    ${SIDE.map((j) => `if (column + ${j}u < u.N) { let at = u.c_first + (row + ${i}u) * u.c_stride + column + ${j}u; c[at] = s${i}[${j}] + select(0.0, c[at], u.adds > 0u); }`).join('\n    ')}
  }`,
  ).join('\n  ')}
}`,
});

/** A matrix as it is stored: which of M, N, K its rows are, and whether it must be bound in parts of them. */
interface Stored {
  readonly value: ValueRef;
  readonly rows: 'M' | 'N' | 'K';
  readonly width: number;
  readonly large: boolean;
}

export function needsParts({
  inputs,
  outputs,
  adapter,
}: {
  readonly inputs: LoweringContext['inputs'];
  readonly outputs: LoweringContext['outputs'];
  readonly adapter: AdapterTraits;
}): boolean {
  const single = sizeOf(outputs[0].shape.slice(0, -2)) === 1;
  return single && [...inputs, ...outputs].some(({ shape, dtype }) => sizeOf(shape) * BYTES_PER_ELEMENT[dtype] > adapter.maxBindingBytes);
}

/** One matrix, f32. */
export function lowerInParts(context: LoweringContext<Transposes>): void {
  const { transposeA, transposeB } = context.attributes;
  const [M, N] = context.outputs[0].shape.slice(-2);
  const K = context.inputs[0].shape.at(transposeA ? -2 : -1) ?? 0;
  const maxElements = context.adapter.maxBindingBytes / 4;
  const extent = { M, N, K };
  const stored = (value: ValueRef, rows: 'M' | 'N' | 'K', width: number): Stored => ({
    value,
    rows,
    width,
    large: extent[rows] * width > maxElements,
  });
  const a = stored(context.input(0), transposeA ? 'K' : 'M', transposeA ? M : K);
  const b = stored(context.input(1), transposeB ? 'N' : 'K', transposeB ? K : N);
  const c = stored(context.output(0), 'M', N);
  /** Parts of an axis that suit every large matrix whose rows it counts. */
  const partsAlong = (axis: 'M' | 'N' | 'K'): Range[] => {
    const widest = Math.max(0, ...[a, b, c].filter(({ rows, large }) => large && rows === axis).map(({ width }) => width));
    const rows = widest === 0 ? extent[axis] : Math.max(1, Math.floor((maxElements - RANGE_UNIT) / widest));
    return Array.from({ length: Math.ceil(extent[axis] / rows) }, (_, i) => ({
      start: i * rows,
      count: Math.min(rows, extent[axis] - i * rows),
    }));
  };
  for (const m of partsAlong('M')) {
    for (const n of partsAlong('N')) {
      for (const k of partsAlong('K')) {
        const at = { M: m, N: n, K: k };
        /** The binding of a matrix for this part, and the first element in it: `column` counts within a row. */
        const bind = ({ value, rows, width, large }: Stored, column: number): { readonly ref: ValueRef; readonly first: number } => {
          const first = at[rows].start * width;
          if (!large) return { ref: value, first: first + column };
          const start = Math.floor(first / RANGE_UNIT) * RANGE_UNIT;
          return { ref: { ...value, range: { start, count: first - start + at[rows].count * width } }, first: first - start + column };
        };
        const [left, right, result] = [bind(a, transposeA ? m.start : k.start), bind(b, transposeB ? k.start : n.start), bind(c, n.start)];
        context.call(partKernel, {
          parameters: { transposeA, transposeB },
          bindings: { a: left.ref, b: right.ref, c: result.ref },
          uniforms: {
            ...{ M: m.count, N: n.count, K: k.count, a_stride: a.width, b_stride: b.width, c_stride: c.width },
            ...{ a_first: left.first, b_first: right.first, c_first: result.first, adds: Number(k.start > 0) },
          },
          workgroups: [Math.ceil(n.count / 32), Math.ceil(m.count / 32), 1],
        });
      }
    }
  }
}
