/** What a run measured: the numbers of its steps, and how a long series is thinned. The page runs this, too. */

/** A measure where it was taken: steps ascending, a value each. */
export interface Measured {
  readonly step: readonly number[];
  readonly value: readonly number[];
}

/**
 * At most `points` places of a measure, no fewer than four, the first, the last, the least and the greatest
 * of them all among them: of every bucket its least and greatest are kept.
 */
export function thinned({ step, value }: Measured, points: number): Measured {
  if (step.length <= points) return { step, value };
  const kept = new Set([0, step.length - 1]);
  const buckets = Math.max(1, Math.floor((points - 2) / 2));
  for (let bucket = 0; bucket < buckets; bucket++) {
    const from = Math.floor((bucket * step.length) / buckets);
    const to = Math.floor(((bucket + 1) * step.length) / buckets);
    let [low, high] = [from, from];
    for (let i = from; i < to; i++) {
      if (value[i]! < value[low]!) low = i;
      if (value[i]! > value[high]!) high = i;
    }
    kept.add(low).add(high);
  }
  const order = [...kept].sort((a, b) => a - b);
  return { step: order.map((i) => step[i]!), value: order.map((i) => value[i]!) };
}

/** A step as it was recorded, or as it came over the wire. */
interface Step {
  readonly kind?: string;
  readonly reward?: unknown;
  readonly bestReward?: unknown;
  readonly entropy?: unknown;
  readonly promptsPerSecond?: unknown;
  readonly evaluations?: unknown;
  readonly spent?: unknown;
  readonly fluency?: { readonly perplexity?: unknown; readonly taskReward?: unknown } | undefined;
  readonly quantities?: Readonly<Record<string, unknown>> | undefined;
}

/** Numbers of a step by stable names; what is no number, as a reward that there is none of, is left out. */
export function stepNumbers(step: Step): Record<string, number> {
  const { reward, bestReward, entropy, promptsPerSecond, evaluations, spent, fluency } = step;
  const { perplexity, taskReward } = fluency ?? {};
  const named = {
    ...{
      reward,
      bestReward,
      entropy,
      promptsPerSecond,
      evaluations,
      spent,
      perplexity,
      taskReward,
    },
    ...step.quantities,
  };
  return Object.fromEntries(
    Object.entries(named).filter((pair): pair is [string, number] => Number.isFinite(pair[1])),
  );
}
