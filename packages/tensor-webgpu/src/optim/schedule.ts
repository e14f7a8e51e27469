/** Learning rates over the steps of a training run. */

export interface CosineSchedule {
  /** Highest learning rate, reached at the end of the warm-up. */
  readonly peak: number;
  /** Steps of linear warm-up. */
  readonly warmup: number;
  /** Steps in all. */
  readonly total: number;
  /** Learning rate at the end, as a share of the peak. */
  readonly floor: number;
}

/** Linear warm-up, then half a cosine down to `floor` × peak. @returns the learning rate of step 0, 1, .. */
export function cosineSchedule({ peak, warmup, total, floor }: CosineSchedule): (step: number) => number {
  return (step) => {
    if (step < warmup) return (peak * (step + 1)) / warmup;
    const progress = Math.min(1, (step - warmup) / Math.max(1, total - warmup));
    return peak * (floor + (1 - floor) * 0.5 * (1 + Math.cos(Math.PI * progress)));
  };
}

export interface WarmupStableDecaySchedule {
  readonly peak: number;
  /** Steps of linear warm-up. */
  readonly warmup: number;
  /** Steps in all. */
  readonly total: number;
  /** Steps of linear decay to zero, the last ones. */
  readonly decay: number;
}

/** Linear warm-up, a plateau, linear decay to zero. [Hu et al., 2024] @returns the learning rate of step 0, 1, .. */
export function warmupStableDecaySchedule({ peak, warmup, total, decay }: WarmupStableDecaySchedule): (step: number) => number {
  return (step) => peak * Math.max(0, Math.min(1, (step + 1) / Math.max(1, warmup), (total - step) / Math.max(1, decay)));
}
