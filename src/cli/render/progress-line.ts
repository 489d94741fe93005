/** Progress as one line: what, how far, how fast, how long still, and why it waits. */

import { formatBytes, formatCount, formatSeconds } from '../../util/format.ts';
import type { Progress } from '../../util/progress.ts';
import { visible } from '../../util/text.ts';
import { bar } from './chart.ts';
import type { Style } from './style.ts';

export interface ProgressMeter {
  update(progress: Progress): void;
  /** The line as of now. */
  line(style: Style): string;
  /** The same without a bar, for logs. */
  plain(): string;
}

/** Remembers when a phase began, to tell speed and time left. */
export function createProgressMeter(now: () => number = Date.now): ProgressMeter {
  let current: Progress = { phase: '', done: 0, unit: '' };
  let began = now();
  let first = 0;

  const amount = (count: number) =>
    current.unit === 'bytes' ? formatBytes(count) : `${formatCount(count)}`;
  const details = () => {
    const { done, total, unit, waitingFor } = current;
    const parts: string[] = [];
    const shownUnit = unit === 'bytes' ? '' : ` ${unit}`;
    if (total) parts.push(`${amount(done)} of ${amount(total)}${shownUnit}`);
    else if (done > 0) parts.push(`${amount(done)}${shownUnit}`);
    const seconds = (now() - began) / 1000;
    const speed = (done - first) / seconds;
    if (seconds >= 1 && speed > 0) {
      parts.push(`${speed < 1 ? speed.toPrecision(1) : amount(speed)}/s`);
      if (total && done < total) parts.push(`${formatSeconds((total - done) / speed)} left`);
    }
    if (waitingFor !== undefined) parts.push(`waiting: ${visible(waitingFor)}`);
    return parts.join(' · ');
  };
  return {
    update(progress) {
      if (progress.phase !== current.phase || progress.done < current.done) {
        began = now();
        first = progress.done;
      }
      current = progress;
    },
    line(style) {
      const share = current.total ? current.done / current.total : undefined;
      const drawn = share === undefined ? '' : `${style.cyan(bar(share, 24))} `;
      return `${visible(current.phase)}  ${drawn}${style.dim(details())}`;
    },
    plain: () => [visible(current.phase), details()].filter((part) => part !== '').join(': '),
  };
}
