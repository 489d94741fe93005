/** Says which thresholds were not reached, and makes that the exit code. */
import { NOT_REACHED, type ThresholdVerdict } from '../runs/threshold.ts';
import type { Session } from './session.ts';

export function showThresholds(session: Session, thresholds: readonly ThresholdVerdict[]): void {
  const missed = thresholds.filter(({ isReached }) => !isReached);
  if (missed.length === 0) return;
  for (const { sentence } of missed)
    session.note(`${session.style.err.red('whetstone:')} ${sentence}`);
  process.exitCode = NOT_REACHED;
}
