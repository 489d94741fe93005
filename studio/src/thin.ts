/**
 * Charts of a run that may be long: each measure has its own steps, is appended to while the run works,
 * and thinned to a bound that keeps peaks, as the server thins what was recorded before: of each bucket
 * the least and the greatest value stay, so that a line drawn through what is left has the shape of the
 * whole.
 */
import type { Series } from '../../src/server/contract.ts';

export type Track = Series['measures'];
export type Measured = Track[string];

/** Points of a chart; twice as many are let grow before they are thinned again. */
export const POINTS = 800;

/** What was measured at one step behind what was before. */
export function append(
  track: Track,
  step: number,
  values: Readonly<Record<string, number>>,
): Track {
  const grown = Object.entries(values).flatMap(([name, value]) => {
    const before = track[name] ?? { step: [], value: [] };
    if (step <= (before.step.at(-1) ?? Number.NEGATIVE_INFINITY)) return [];
    const after = { step: [...before.step, step], value: [...before.value, value] };
    return [[name, after.step.length > 2 * POINTS ? thin(after, POINTS) : after]];
  });
  return grown.length === 0 ? track : { ...track, ...Object.fromEntries(grown) };
}

/** At most `points` places; first and last are kept. */
export function thin({ step, value }: Measured, points: number): Measured {
  if (step.length <= points) return { step, value };
  const kept = keptIndices(value, Math.max(4, points));
  return { step: kept.map((i) => step[i]!), value: kept.map((i) => value[i]!) };
}

function keptIndices(values: readonly number[], points: number): number[] {
  const kept = new Set([0, values.length - 1]);
  const buckets = Math.floor((points - 2) / 2);
  for (let b = 0; b < buckets; b++) {
    const from = Math.floor((b * values.length) / buckets);
    const to = Math.floor(((b + 1) * values.length) / buckets);
    let [low, high] = [from, from];
    for (let i = from; i < to; i++) {
      if (values[i]! < values[low]!) low = i;
      if (values[i]! > values[high]!) high = i;
    }
    kept.add(low).add(high);
  }
  return [...kept].sort((a, b) => a - b);
}

/** A step event's numbers under the names that the server's measures have. */
export function valuesOf(event: Readonly<Record<string, unknown>>): Record<string, number> {
  const fluency = event.fluency as Record<string, unknown> | undefined;
  const named = {
    reward: event.reward,
    bestReward: event.bestReward,
    entropy: event.entropy,
    promptsPerSecond: event.promptsPerSecond,
    evaluations: event.evaluations,
    spent: event.spent,
    perplexity: fluency?.perplexity,
    taskReward: fluency?.taskReward,
    ...(event.quantities as object | undefined),
  };
  return Object.fromEntries(
    Object.entries(named).filter((pair): pair is [string, number] => typeof pair[1] === 'number'),
  );
}
