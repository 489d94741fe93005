/**
 * A run as it goes: its detail and series are loaded once, then the server's events are added. The
 * browser reconnects by itself and tells the server the last event that it saw; what comes twice is
 * dropped by its number. Events are taken up together, at most ten times a second. A page that nobody
 * sees holds no connection, of which a browser has few, and catches up when it is seen again.
 */
import { useCallback, useEffect, useRef, useState } from 'react';
import type { Episode, LogEntry, RunDetail, RunState } from '../../src/server/contract.ts';
import { stepNumbers } from '../../src/util/measured.ts';
import { api } from './api.ts';
import { append, POINTS, type Track } from './thin.ts';

/** After which a stream that was refused is asked for again. */
const AGAIN_MS = 5000;

export type Connection = 'connecting' | 'live' | 'lost';

export interface LiveRun {
  readonly detail: RunDetail;
  readonly track: Track;
  /** Number of the last event. */
  readonly lastSeq: number;
}

export interface Live {
  readonly run?: LiveRun;
  readonly error?: Error;
  readonly connection: Connection;
  reload(): void;
}

export function useLiveRun(id: string): Live {
  const [run, setRun] = useState<LiveRun>();
  const [error, setError] = useState<Error>();
  const [connection, setConnection] = useState<Connection>('connecting');
  const [turn, setTurn] = useState(0);
  const reload = useCallback(() => setTurn((n) => n + 1), []);
  const shown = useRef<string>(undefined);

  // biome-ignore lint/correctness/useExhaustiveDependencies: turn asks for another load
  useEffect(() => {
    const abort = new AbortController();
    let source: EventSource | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let again: ReturnType<typeof setTimeout> | undefined;
    let waiting: LogEntry[] = [];
    let lastSeq: number | undefined;
    let state: RunState | undefined;
    if (shown.current !== id) setRun(undefined);
    shown.current = id;

    const takeUp = () => {
      timer = undefined;
      const entries = waiting;
      waiting = [];
      setRun((before) => before && entries.reduce(withEntry, before));
      if (entries.some(({ event }) => event.kind === 'result' || event.kind === 'error')) refresh();
    };
    const refresh = () =>
      api.run(id, abort.signal).then(
        (detail) => setRun((before) => before && { ...before, detail }),
        () => undefined,
      );
    const leave = () => {
      source?.close();
      source = undefined;
      clearTimeout(again);
    };
    const follow = () => {
      leave();
      if (lastSeq === undefined || document.visibilityState === 'hidden') return;
      const opened = new EventSource(api.stream(id, lastSeq));
      source = opened;
      opened.onopen = () => setConnection('live');
      opened.onerror = () => {
        // Where the server cannot be reached the browser tries again; where it refuses, nobody does.
        setConnection('lost');
        if (opened.readyState === EventSource.CLOSED) again = setTimeout(follow, AGAIN_MS);
      };
      opened.addEventListener('run', (message) => {
        const entry = JSON.parse((message as MessageEvent<string>).data) as LogEntry;
        lastSeq = Math.max(lastSeq ?? 0, entry.seq);
        waiting.push(entry);
        timer ??= setTimeout(takeUp, 100);
      });
      opened.addEventListener('state', (message) => {
        const told = JSON.parse((message as MessageEvent<string>).data) as RunState;
        if (told === state) return;
        state = told;
        setRun((before) => before && { ...before, detail: { ...before.detail, state: told } });
        refresh();
      });
    };
    document.addEventListener('visibilitychange', follow);
    Promise.all([api.run(id, abort.signal), api.series(id, POINTS, abort.signal)]).then(
      ([detail, series]) => {
        if (abort.signal.aborted) return;
        setError(undefined);
        setRun({ detail, track: series.measures, lastSeq: detail.lastSeq });
        ({ lastSeq, state } = detail);
        follow();
      },
      (failure: Error) => !abort.signal.aborted && setError(failure),
    );
    return () => {
      abort.abort();
      document.removeEventListener('visibilitychange', follow);
      leave();
      clearTimeout(timer);
    };
  }, [id, turn]);

  return { ...(run ? { run } : {}), ...(error ? { error } : {}), connection, reload };
}

/** A run with one more event. */
export function withEntry(run: LiveRun, { seq, event }: LogEntry): LiveRun {
  if (seq <= run.lastSeq) return run;
  const next = { ...run, lastSeq: seq };
  switch (event.kind) {
    case 'step':
      return withStep(next, event);
    case 'validation': {
      const { validation, step } = event as { validation?: { score: number }; step?: number };
      if (!validation || step === undefined) return next;
      return { ...next, track: append(run.track, step, { validation: validation.score }) };
    }
    case 'warning':
      return {
        ...next,
        detail: { ...run.detail, warnings: [...run.detail.warnings, String(event.message)] },
      };
    default:
      return next;
  }
}

function withStep(run: LiveRun, event: LogEntry['event']): LiveRun {
  const step = Number(event.step);
  const track = append(run.track, step, stepNumbers(event));
  const prompt = event.bestPrompt as string | undefined;
  const reward = event.bestReward as number | undefined;
  const { lineage } = run.detail;
  const isBetter =
    prompt !== undefined && reward !== undefined && prompt !== lineage.at(-1)?.prompt;
  const detail: RunDetail = {
    ...run.detail,
    step,
    ...optional('spent', event.spent as number | undefined),
    ...optional('secondsLeft', event.secondsLeft as number | undefined),
    ...optional('bestPrompt', prompt),
    ...optional('bestReward', reward),
    ...optional('evaluations', event.evaluations as number | undefined),
    ...optional('promptsPerSecond', event.promptsPerSecond as number | undefined),
    ...optional('lastEpisode', event.episode as Episode | undefined),
    lineage: isBetter ? [...lineage, { step, prompt, reward }] : lineage,
  };
  return { ...run, detail, track };
}

function optional<K extends string, V>(name: K, value: V | undefined): { [P in K]?: V } {
  return (value === undefined ? {} : { [name]: value }) as { [P in K]?: V };
}
