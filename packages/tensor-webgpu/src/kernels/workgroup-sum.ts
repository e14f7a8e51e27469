/** A sum over a workgroup, as WGSL, for the norms of rows where there are no subgroups of eight lanes. */

/** Threads of a workgroup. */
export const LANES = 64;

/** Sums `value` over a workgroup; every lane gets the total. */
export const WORKGROUP_SUM = `
var<workgroup> partial: array<f32, ${LANES}>;
fn total(value: f32, lane: u32) -> f32 {
  partial[lane] = value;
  for (var stride = ${LANES / 2}u; stride > 0u; stride >>= 1u) {
    workgroupBarrier();
    if (lane < stride) { partial[lane] += partial[lane + stride]; }
  }
  workgroupBarrier();
  let sum = partial[0];
  workgroupBarrier();
  return sum;
}`;
