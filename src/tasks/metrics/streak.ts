/**
 * One example that cannot be judged is null and the run goes on; many in a row are a mistake in the
 * metric, which is worth stopping for.
 */
import { ConfigError } from '../../errors.ts';

const MOST_IN_A_ROW = 10;

/** A function to tell of each outcome, null or not; `reason` says why it is null. */
export function watchFailures(
  name: string,
): (value: number | null, reason?: string) => number | null {
  let inARow = 0;
  return (value, reason) => {
    inARow = value === null ? inARow + 1 : 0;
    if (inARow < MOST_IN_A_ROW) return value;
    throw new ConfigError(
      `metric ${name}: ${MOST_IN_A_ROW} examples in a row could not be judged, the last because ` +
        `${reason ?? 'of an unknown reason'}; correct the metric or take another`,
    );
  };
}
