/**
 * Charts of a run that may be long: columns over steps, appended to while the run works, thinned to
 * a bound that keeps peaks. Thinning keeps, of each bucket, the steps at which the leading column is
 * least and greatest, so that a line drawn through what is left has the shape of the whole.
 */
import type { Series } from '../../src/server/contract.ts';

export type Columns = Readonly<Record<string, readonly (number | null)[]>>;

export interface Track {
  readonly step: readonly number[];
  readonly columns: Columns;
}

/** One step's values behind a track; a column that is new stands with nulls before. */
export function append(
  track: Track,
  step: number,
  values: Readonly<Record<string, number>>,
): Track {
  const last = track.step.at(-1);
  if (last !== undefined && step <= last) return track;
  const length = track.step.length;
  const names = new Set([...Object.keys(track.columns), ...Object.keys(values)]);
  const columns = Object.fromEntries(
    [...names].map((name) => {
      const before = track.columns[name] ?? new Array<null>(length).fill(null);
      return [name, [...before, values[name] ?? null]];
    }),
  );
  return { step: [...track.step, step], columns };
}

/** At most `points` steps; first and last are kept. */
export function thin(track: Track, points: number, lead = 'reward'): Track {
  const { step, columns } = track;
  if (step.length <= points) return track;
  const kept = keptIndices(columns[lead] ?? step, Math.max(4, points));
  return {
    step: kept.map((i) => step[i]!),
    columns: Object.fromEntries(
      Object.entries(columns).map(([name, column]) => [name, kept.map((i) => column[i] ?? null)]),
    ),
  };
}

function keptIndices(values: readonly (number | null)[], points: number): number[] {
  const kept = new Set([0, values.length - 1]);
  const buckets = Math.floor((points - 2) / 2);
  for (let b = 0; b < buckets; b++) {
    const from = Math.floor((b * values.length) / buckets);
    const to = Math.floor(((b + 1) * values.length) / buckets);
    let [low, high] = [from, from];
    for (let i = from; i < to; i++) {
      if ((values[i] ?? Number.POSITIVE_INFINITY) < (values[low] ?? Number.POSITIVE_INFINITY))
        low = i;
      if ((values[i] ?? Number.NEGATIVE_INFINITY) > (values[high] ?? Number.NEGATIVE_INFINITY))
        high = i;
    }
    kept.add(low).add(high);
  }
  return [...kept].sort((a, b) => a - b);
}

/** A step event's numbers under the names that the server's columns have. */
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
    ...(event.quantities as object | undefined),
  };
  return Object.fromEntries(
    Object.entries(named).filter((pair): pair is [string, number] => typeof pair[1] === 'number'),
  );
}

export const trackOf = ({ step, columns }: Series): Track => ({ step, columns });
