/** When a run ends, and the learning rate on the way there: limits by tokens, FLOPs and minutes, of which the nearest counts. */
import { cosineSchedule, warmupStableDecaySchedule } from '@sconelm/tensor-webgpu';
import { DEFAULT_TOKENS, type TrainingConfig } from '../run/training-config.js';

/** What a run has used so far. */
export interface Spent {
  readonly step: number;
  readonly flops: number;
  /** Of training, interruptions apart. */
  readonly seconds: number;
}

export interface Limits {
  /** The schedule's length. Steps, where tokens are limited; else an arbitrary unit. */
  readonly total: number;
  /** Where on the schedule a run is; at `total` it ends. Only a limit in minutes makes it depend on the machine. */
  position(spent: Spent): number;
  rateAt(position: number): number;
}

/** The schedule's length where steps are not known beforehand. */
const UNITS = 10_000;

/** @param T tokens per window */
export function limitsOf(training: TrainingConfig, T: number): Limits {
  const { flops, minutes, learningRate: peak } = training;
  const isByTokens = training.tokens !== undefined || (flops === undefined && minutes === undefined);
  const tokens = training.tokens ?? DEFAULT_TOKENS;
  const total = isByTokens ? Math.max(1, Math.round(tokens / (training.batch * T))) : UNITS;
  const warmup = Math.ceil(total * training.warmup);
  return {
    total,
    position: (spent) =>
      Math.max(
        isByTokens ? spent.step : 0,
        flops === undefined ? 0 : (spent.flops / flops) * total,
        minutes === undefined ? 0 : (spent.seconds / 60 / minutes) * total,
      ),
    rateAt:
      training.schedule === 'cosine'
        ? cosineSchedule({ peak, warmup, total, floor: 0.1 })
        : warmupStableDecaySchedule({ peak, warmup, total, decay: Math.ceil(total * training.decay) }),
  };
}
