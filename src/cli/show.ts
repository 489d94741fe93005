/** Ways to show work in progress: a run's events, or plain progress such as a download. */
import type { OnEvent, RunEvent } from '../runs/events.ts';
import type { OnProgress, Progress } from '../util/progress.ts';
import { visible } from '../util/text.ts';
import { createProgressMeter } from './render/progress-line.ts';
import { createRunView, type RunView } from './render/run-view.ts';
import type { Session } from './session.ts';

/** Lines in a log, where there is no terminal to draw on. */
export const PLAIN_INTERVAL_MS = 10_000;

/** Draws a run's events on the terminal, or writes them as JSON Lines, or as lines of a log. */
export function showRun(session: Session): OnEvent {
  const view = createRunView(session.style.err);
  const plain = throttle(PLAIN_INTERVAL_MS);
  return (event) => {
    // The last event is the command's to print.
    if (event.kind !== 'result' && event.kind !== 'error') session.emit(event);
    if (event.kind === 'warning') {
      session.note(`${session.style.err.yellow('warning:')} ${visible(event.message)}`);
      return;
    }
    view.onEvent(event);
    if (session.region.isLive) session.region.update(() => view.lines(session.region.columns));
    else if (!session.isJson) logLine(session, view, event, plain);
  };
}

/** Each phase and each ten seconds of steps give a line; what lies between is left out. */
function logLine(
  session: Session,
  view: RunView,
  event: RunEvent,
  isDue: (key: string) => boolean,
): void {
  const line = view.plain();
  if (line !== undefined && isDue(event.kind === 'progress' ? event.phase : event.kind)) {
    session.note(line);
  }
}

/** The same for a command that only makes progress. */
export function showProgress(session: Session): OnProgress {
  const meter = createProgressMeter();
  const plain = throttle(PLAIN_INTERVAL_MS);
  const json = throttle(200);
  return (progress) => {
    meter.update(progress);
    if (session.isJson) {
      if (json(keyOf(progress))) session.emit({ kind: 'progress', ...progress });
    } else if (session.region.isLive) {
      session.region.update(() => [`  ${meter.line(session.style.err)}`]);
    } else if (plain(keyOf(progress))) {
      session.note(meter.plain());
    }
  };
}

function keyOf({ phase, waitingFor }: Progress): string {
  return `${phase}\n${waitingFor ?? ''}`;
}

/** True at once for a new key, and then every so often. */
export function throttle(intervalMs: number): (key: string) => boolean {
  let lastKey: string | undefined;
  let last = 0;
  return (key) => {
    const now = Date.now();
    if (key === lastKey && now - last < intervalMs) return false;
    lastKey = key;
    last = now;
    return true;
  };
}
