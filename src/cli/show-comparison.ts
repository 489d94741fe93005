/** Shows a comparison in progress: drawn on a terminal, as JSON Lines, or as lines of a log. */
import type { OnCompareEvent } from '../runs/compare-events.ts';
import { visible } from '../util/text.ts';
import { createCompareView } from './render/compare-view.ts';
import type { Session } from './session.ts';
import { PLAIN_INTERVAL_MS, throttle } from './show.ts';

export function showComparison(session: Session): OnCompareEvent {
  const view = createCompareView(session.style.err);
  const plain = throttle(PLAIN_INTERVAL_MS);
  return (event) => {
    if (event.kind !== 'result') session.emit(event);
    view.onEvent(event);
    if (event.kind === 'warning') {
      session.note(`${session.style.err.yellow('warning:')} ${visible(event.message)}`);
    } else if (session.region.isLive) {
      session.region.update(() => view.lines(session.region.columns));
    } else if (!session.isJson) {
      const line = view.plain();
      const key = event.kind === 'cell' ? JSON.stringify(event) : event.kind;
      if (line !== undefined && plain(event.kind === 'progress' ? event.phase : key)) {
        session.note(line);
      }
    }
  };
}
