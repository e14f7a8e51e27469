/** A row held in the registers of one subgroup of eight lanes, on CPUs behind WebGPU: one pass over memory, no barriers. */
import { isCpuWithSubgroups, unroll } from './forms.js';
import type { AdapterTraits } from './kernel.js';

/** The widest row that eight lanes hold in registers, in vec4 per lane. */
const MAX_VECTORS = 32;

export interface RowForm {
  /** vec4 per lane: lane l holds vec4 l, l + 8, .. of the row. */
  readonly vectors: number;
  /** The row fills them all. */
  readonly exact: boolean;
}

/** The form for rows of `width`; undefined where the adapter is no CPU with subgroups, or the row is too wide. */
export function rowForm(adapter: AdapterTraits, width: number): RowForm | undefined {
  const vectors = Math.ceil(width / 32);
  if (!isCpuWithSubgroups(adapter) || width % 4 !== 0 || vectors > MAX_VECTORS) return undefined;
  return { vectors, exact: width % 32 === 0 };
}

/** Σ over the row of an expression per vec4. */
export const rowSum = (vectors: number, term: (v: number) => string) =>
  `subgroupAdd(${Array.from({ length: vectors }, (_, v) => term(v)).join(' + ')})`;

/** Declares `name`0 .. : the lane's part of one row of `buffer`, zero past its end. */
export const loadRow = ({ vectors, exact }: RowForm, name: string, base: string, buffer = name) =>
  unroll(vectors, (v) =>
    exact
      ? `let ${name}${v} = ${buffer}[${base} + lane + ${v * 8}u];`
      : `let ${name}${v} = select(vec4f(), ${buffer}[${base} + min(lane + ${v * 8}u, W4 - 1u)], lane + ${v * 8}u < W4);`,
  );

export const storeRow = ({ vectors, exact }: RowForm, name: string, base: string, value: (v: number) => string) =>
  unroll(vectors, (v) => {
    const store = `${name}[${base} + lane + ${v * 8}u] = ${value(v)};`;
    return exact ? store : `if (lane + ${v * 8}u < W4) { ${store} }`;
  });

/** Enough workgroups for the cores to share evenly, enough rows in each to pay for starting it. */
export function rowsPerSubgroup(rows: number): number {
  return Math.min(32, Math.max(1, Math.ceil(rows / 64)));
}
