/**
 * Charts of a run that may be long: each measure has its own steps, is appended to while the run works,
 * and thinned to a bound that keeps peaks, as the server thins what was recorded before.
 */
import type { Series } from '../../src/server/contract.ts';
import { thinned } from '../../src/util/measured.ts';

export type Track = Series['measures'];

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
    return [[name, after.step.length > 2 * POINTS ? thinned(after, POINTS) : after]];
  });
  return grown.length === 0 ? track : { ...track, ...Object.fromEntries(grown) };
}
