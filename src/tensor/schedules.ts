/**
 * Learning rates by the number of the step, counted from 1. All rise linearly from 0 over the
 * warm-up, reach `peak` at its last step, and then stay or fall to `final` at step `steps`.
 * Step k has the rate that transformers' schedules of the same names have at index k.
 */

export type Schedule = (step: number) => number;

export interface ScheduleOptions {
  /** The highest rate. */
  readonly peak: number;
  /** Steps until the rate reaches its peak. @default 0 */
  readonly warmupSteps?: number;
}

export interface DecayOptions extends ScheduleOptions {
  /** Steps in all, warm-up included; the rate stays at `final` after. */
  readonly steps: number;
  /** @default 0 */
  readonly final?: number;
}

/** The peak, once warm. */
export function constantRate({ peak, warmupSteps = 0 }: ScheduleOptions): Schedule {
  return (step) => peak * Math.min(1, step / Math.max(1, warmupSteps));
}

/** From the peak to the final rate in a straight line. */
export function linearRate(options: DecayOptions): Schedule {
  return decay(options, (progress) => 1 - progress);
}

/** From the peak to the final rate along half a cosine. Source: arXiv 1608.03983, equation 5. */
export function cosineRate(options: DecayOptions): Schedule {
  return decay(options, (progress) => (1 + Math.cos(Math.PI * progress)) / 2);
}

/** `shape` goes from 1 at progress 0 to 0 at progress 1. */
function decay(
  { peak, steps, warmupSteps = 0, final = 0 }: DecayOptions,
  shape: (progress: number) => number,
): Schedule {
  return (step) => {
    if (step < warmupSteps) return (peak * step) / warmupSteps;
    const progress = (step - warmupSteps) / Math.max(1, steps - warmupSteps);
    return final + (peak - final) * shape(Math.min(1, progress));
  };
}
