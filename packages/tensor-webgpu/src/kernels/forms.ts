/** What kernel templates share: the test for adapters that are CPUs with subgroups of eight, and unrolling. */
import type { AdapterTraits } from './kernel.js';

/** A CPU behind WebGPU whose subgroups have eight lanes: one subgroup per workgroup, straight-line code, no barriers. */
export function isCpuWithSubgroups({ software, subgroups, subgroupMinSize, subgroupMaxSize }: AdapterTraits): boolean {
  return software && subgroups && subgroupMinSize === 8 && subgroupMaxSize === 8;
}

/** `line` for 0 .. count − 1, one below the other. */
export function unroll(count: number, line: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => line(index)).join('\n');
}

/** Above this, straight-line code costs more to compile than a loop costs to run. */
const MAX_UNROLLED = 32;

/** `line` for each index below `count`, given as a WGSL expression: unrolled where that is short, else a loop. */
export function sweep(count: number, line: (index: string) => string): string {
  return count <= MAX_UNROLLED ? unroll(count, (index) => line(`${index}u`)) : `for (var c = 0u; c < ${count}u; c++) { ${line('c')} }`;
}
