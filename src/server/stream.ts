/**
 * A run's events as they are recorded, as server-sent events. Other processes write them, so the store
 * is asked for the last sequence number a few times a second: once for all who watch the same run. Each
 * watcher reads from its own place, as fast as its client takes it, so that nothing is lost or doubled
 * and a slow client holds no events in memory. A client that comes back says where it was by
 * Last-Event-ID.
 */
import type { RunStore, StoredEvent } from '../runs/store.ts';
import type { LogEntry, RunState } from './contract.ts';
import { RequestFailure } from './failures.ts';
import type { Redact } from './redact.ts';
import { toJson } from './route.ts';

export interface StreamLimits {
  /** Streams in all. @default 64 */
  readonly most?: number;
  /** Between two looks at the store. @default 400 */
  readonly pollMs?: number;
  /** Between two comments that keep a connection open. @default 15_000 */
  readonly heartbeatMs?: number;
  /** Time after which a client that takes nothing is let go. @default 60_000 */
  readonly stalledMs?: number;
}

export interface Client {
  /** Aborted when it goes away. */
  readonly signal: AbortSignal;
  /** Cuts its connection. */
  readonly drop: () => void;
}

export interface Streams {
  /** @throws RequestFailure 503 when there are too many already */
  open(run: string, after: number, client: Client): Response;
  readonly count: number;
  close(): void;
}

interface Seen {
  readonly seq: number;
  readonly state: RunState;
}

/** One run that is watched, by one timer. */
interface Watched {
  seen: Seen;
  readonly wake: Set<() => void>;
  readonly timer: NodeJS.Timeout;
}

/** Events of one read. */
const BATCH = 100;

export function createStreams(
  store: RunStore,
  redact: Redact,
  { most = 64, pollMs = 400, heartbeatMs = 15_000, stalledMs = 60_000 }: StreamLimits = {},
): Streams {
  const runs = new Map<string, Watched>();
  const stops = new Set<() => void>();
  let isClosed = false;
  let count = 0;

  const look = (run: string): Seen => ({
    seq: store.queries.lastSeq(run),
    state: (store.queries.findRun(run)?.state ?? 'interrupted') as RunState,
  });
  const join = (run: string, wake: () => void): Watched => {
    let watched = runs.get(run);
    if (!watched) {
      const timer = setInterval(() => {
        const one = runs.get(run)!;
        let seen: Seen;
        try {
          seen = look(run);
        } catch {
          return; // A store that is locked for a moment is asked again at the next turn.
        }
        if (seen.seq === one.seen.seq && seen.state === one.seen.state) return;
        one.seen = seen;
        for (const each of one.wake) each();
      }, pollMs);
      timer.unref();
      watched = { seen: look(run), wake: new Set(), timer };
      runs.set(run, watched);
    }
    watched.wake.add(wake);
    return watched;
  };
  const leave = (run: string, wake: () => void) => {
    const watched = runs.get(run);
    watched?.wake.delete(wake);
    if (watched && watched.wake.size === 0) {
      clearInterval(watched.timer);
      runs.delete(run);
    }
  };

  return {
    get count() {
      return count;
    },
    open(run, after, { signal, drop }) {
      if (count >= most || isClosed) {
        throw new RequestFailure(
          503,
          'refused',
          `${most} event streams are open already, close some or ask /api/runs/${run}/log instead`,
        );
      }
      count++;
      let waiting: (() => void) | undefined;
      const wake = () => waiting?.();
      const watched = join(run, wake);
      let cursor = after;
      let told: RunState | undefined;
      let stalled: NodeJS.Timeout | undefined;
      let isOver = false;
      let stop = () => {};
      const end = () => {
        if (isOver) return;
        isOver = true;
        count--;
        stops.delete(stop);
        clearTimeout(stalled);
        leave(run, wake);
        waiting?.();
      };
      const next = async (): Promise<string | undefined> => {
        for (;;) {
          if (isOver) return undefined;
          const events =
            watched.seen.seq > cursor
              ? store.queries.events(run, { after: cursor, limit: BATCH })
              : [];
          if (events.length > 0) {
            cursor = events.at(-1)!.seq;
            return events.map((event) => framed(event, redact)).join('');
          }
          if (told !== watched.seen.state) {
            told = watched.seen.state;
            return `event: state\ndata: ${JSON.stringify(told)}\n\n`;
          }
          const isAwake = await new Promise<boolean>((resolve) => {
            const timer = setTimeout(() => resolve(false), heartbeatMs);
            waiting = () => {
              clearTimeout(timer);
              resolve(true);
            };
          });
          waiting = undefined;
          if (!isAwake) return ': still here\n\n';
        }
      };
      const encoder = new TextEncoder();
      const body = new ReadableStream<Uint8Array>(
        {
          start(controller) {
            stop = () => {
              if (isOver) return;
              end();
              controller.close();
            };
            stops.add(stop);
            signal.addEventListener('abort', stop, { once: true });
            controller.enqueue(encoder.encode('retry: 2000\n\n'));
          },
          async pull(controller) {
            clearTimeout(stalled);
            const text = await next();
            if (text === undefined || isOver) return;
            controller.enqueue(encoder.encode(text));
            stalled = setTimeout(() => {
              if (isOver) return;
              end();
              drop();
            }, stalledMs);
            stalled.unref();
          },
          cancel: end,
        },
        { highWaterMark: 1 },
      );
      return new Response(body, {
        headers: {
          'content-type': 'text/event-stream; charset=utf-8',
          'cache-control': 'no-store, no-transform',
          'x-accel-buffering': 'no',
        },
      });
    },
    close() {
      isClosed = true;
      for (const stop of stops) stop();
    },
  };
}

export function toLogEntry({ seq, time, event }: StoredEvent): LogEntry {
  return { seq, time: time.toISOString(), event: event as unknown as LogEntry['event'] };
}

function framed(stored: StoredEvent, redact: Redact): string {
  return `id: ${stored.seq}\nevent: run\ndata: ${toJson(toLogEntry(stored), redact)}\n\n`;
}
