/** One entry of a program's list: everything that replaying it needs, and what reports say of it. */
export interface Dispatch {
  /** The op's name. */
  readonly label: string;
  readonly kernel: string;
  /** Floating-point operations, as far as ops count them. */
  readonly flops: number;
  /** Bytes of everything bound. */
  readonly bytes: number;
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly workgroups: readonly [number, number, number];
}
