/**
 * One example that cannot be judged is null and the run goes on; many in a row are a mistake in the
 * metric, which is worth stopping for.
 */
import { ConfigError } from '../../errors.ts';
import type { Answer } from './metric.ts';

const MOST_IN_A_ROW = 10;

export interface FailureWatch {
  /** To be told of each outcome, null or not; `reason` says why it is null. @throws ConfigError */
  tell(answer: Answer, value: number | null, reason?: string): number | null;
  /** Why the last null is one. */
  lastReason(): string | undefined;
}

/** Counts different answers: one that failed before says nothing new when it is judged again. */
export function watchFailures(name: string): FailureWatch {
  const known = new Set<string>();
  let inARow = 0;
  let last: string | undefined;
  const tell: FailureWatch['tell'] = ({ input, golds, output }, value, reason) => {
    if (value !== null) {
      inARow = 0;
      return value;
    }
    last = reason;
    const answer = JSON.stringify([input, golds, output]);
    if (!known.has(answer)) inARow++;
    known.add(answer);
    if (inARow < MOST_IN_A_ROW) return null;
    throw new ConfigError(
      `metric ${name}: ${MOST_IN_A_ROW} examples in a row could not be judged, the last because ` +
        `${reason ?? 'of an unknown reason'}; correct the metric or take another`,
    );
  };
  return { tell, lastReason: () => last };
}
