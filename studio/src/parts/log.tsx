/**
 * The log of a run, however long: rows of one height, of which only those in sight exist. Without a
 * filter a row's place is its number, so that any place is loaded at once; with a filter pages are
 * loaded one after another as the reader goes down.
 */
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react';
import type { LogEntry } from '../../../src/server/contract.ts';
import { api } from '../api.ts';
import { clock, number, share } from '../format.ts';
import { plain } from '../visible.ts';
import { kinds } from '../words.ts';

const ROW = 26;
const PAGE = 200;
/** Browsers draw no element much higher than this. */
const MOST_ROWS = 1_000_000;

interface Props {
  readonly run: string;
  readonly lastSeq: number;
  readonly isRunning: boolean;
}

export function Log({ run, lastSeq, isRunning }: Props) {
  const [kind, setKind] = useState('');
  const [follows, setFollows] = useState(isRunning);
  const [chosen, setChosen] = useState<LogEntry>();
  return (
    <div className="log">
      <div className="row">
        <label>
          Show{' '}
          <select value={kind} onChange={(event) => setKind(event.target.value)}>
            <option value="">everything</option>
            {Object.entries(kinds).map(([name, title]) => (
              <option key={name} value={name}>
                {title}
              </option>
            ))}
          </select>
        </label>
        <label className="check">
          <input
            type="checkbox"
            checked={follows}
            onChange={(event) => setFollows(event.target.checked)}
          />
          Follow the end
        </label>
      </div>
      <Rows
        key={`${run} ${kind}`}
        {...{ run, lastSeq, kind, follows, chosen, choose: setChosen }}
      />
      {chosen && (
        <section className="frame short" aria-label={`Event ${chosen.seq}`}>
          <pre>{pretty(chosen)}</pre>
        </section>
      )}
    </div>
  );
}

interface RowsProps {
  readonly run: string;
  readonly lastSeq: number;
  readonly kind: string;
  readonly follows: boolean;
  readonly chosen: LogEntry | undefined;
  choose(entry: LogEntry): void;
}

function Rows({ run, lastSeq, kind, follows, chosen, choose }: RowsProps) {
  const frame = useRef<HTMLElement>(null);
  const [top, setTop] = useState(0);
  const { entryAt, total, need } = useEntries(run, lastSeq, kind);
  const first = Math.max(0, Math.floor(top / ROW) - 5);
  const last = Math.min(total, first + 40);
  useEffect(() => need(first, last), [need, first, last]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: goes to the end as it grows
  useLayoutEffect(() => {
    if (follows && frame.current) frame.current.scrollTop = frame.current.scrollHeight;
  }, [follows, total]);
  if (total === 0)
    return <p className="muted">{kind === '' ? 'No events yet.' : 'None of this kind.'}</p>;
  const rows = Array.from({ length: Math.max(0, last - first) }, (_, i) => first + i);
  return (
    <section
      ref={frame}
      className="frame log-frame"
      aria-label="Log"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
      tabIndex={0}
      onScroll={(event) => setTop(event.currentTarget.scrollTop)}
    >
      <ol style={{ height: total * ROW }}>
        {rows.map((index) => {
          const entry = entryAt(index);
          return (
            <li
              key={index}
              style={{ transform: `translateY(${index * ROW}px)` }}
              aria-setsize={total}
              aria-posinset={index + 1}
            >
              {entry ? (
                <button
                  type="button"
                  className={`log-row kind-${entry.event.kind}`}
                  aria-pressed={chosen?.seq === entry.seq}
                  onClick={() => choose(entry)}
                >
                  <span className="muted">{entry.seq}</span>
                  <span className="muted">{clock(entry.time)}</span>
                  <b>{kinds[entry.event.kind] ?? plain(entry.event.kind)}</b>
                  <span className="line">{plain(gist(entry.event))}</span>
                </button>
              ) : (
                <span className="log-row muted">…</span>
              )}
            </li>
          );
        })}
      </ol>
    </section>
  );
}

interface Entries {
  readonly total: number;
  entryAt(index: number): LogEntry | undefined;
  /** Loads what the rows from first to last need. */
  need(first: number, last: number): void;
}

function useEntries(run: string, lastSeq: number, kind: string): Entries {
  const pages = useRef(new Map<number, readonly LogEntry[]>());
  const asked = useRef(new Set<string>());
  const [, redraw] = useState(0);
  const filtered = useRef<LogEntry[]>([]);
  const end = useRef<number | undefined>(0);

  const loadPage = useCallback(
    (page: number) => {
      const known = pages.current.get(page);
      const wanted = Math.min(PAGE, lastSeq - page * PAGE);
      const ask = `${page} ${wanted}`;
      if (wanted <= 0 || (known && known.length >= wanted) || asked.current.has(ask)) return;
      asked.current.add(ask);
      api.log(run, { after: page * PAGE, limit: PAGE }).then(
        ({ items }) => {
          pages.current.set(page, items);
          redraw((n) => n + 1);
        },
        () => asked.current.delete(ask),
      );
    },
    [run, lastSeq],
  );
  const loadMore = useCallback(() => {
    const after = end.current;
    const ask = `after ${after}`;
    if (after === undefined || after >= lastSeq || asked.current.has(ask)) return;
    asked.current.add(ask);
    api.log(run, { after, limit: PAGE, kinds: kind }).then(
      ({ items, next }) => {
        filtered.current = [...filtered.current, ...items];
        end.current = next === undefined ? Math.max(lastSeq, items.at(-1)?.seq ?? 0) : Number(next);
        redraw((n) => n + 1);
      },
      () => asked.current.delete(ask),
    );
  }, [run, lastSeq, kind]);
  useEffect(() => {
    if (kind !== '') loadMore();
  }, [kind, loadMore]);

  const need = useCallback(
    (first: number, last: number) => {
      if (kind !== '') {
        if (last >= filtered.current.length - 20) loadMore();
        return;
      }
      for (let page = Math.floor(first / PAGE); page <= Math.floor(last / PAGE); page++)
        loadPage(page);
    },
    [kind, loadMore, loadPage],
  );
  if (kind !== '') {
    return { total: filtered.current.length, entryAt: (i) => filtered.current[i], need };
  }
  const offset = Math.max(0, lastSeq - MOST_ROWS);
  return {
    total: Math.min(lastSeq, MOST_ROWS),
    entryAt: (i) => pages.current.get(Math.floor((i + offset) / PAGE))?.[(i + offset) % PAGE],
    need: (first, last) => need(first + offset, last + offset),
  };
}

/** What an event says on one line. */
function gist(event: LogEntry['event']): string {
  const text = (name: string) =>
    typeof event[name] === 'string' ? (event[name] as string) : undefined;
  const figure = (name: string) =>
    typeof event[name] === 'number' ? number(event[name] as number) : undefined;
  if (event.kind === 'step') {
    return `${event.step}: reward ${figure('reward') ?? '–'}, best ${figure('bestReward') ?? '–'} “${text('bestPrompt') ?? ''}”`;
  }
  if (event.kind === 'validation') {
    const { score } = (event.validation ?? {}) as { score?: number };
    return `${score === undefined ? '' : share(score)} “${text('prompt') ?? ''}”`;
  }
  if (event.kind === 'start') return `${text('method') ?? ''} on ${text('task') ?? ''}`;
  if (event.kind === 'result') return `“${text('prompt') ?? ''}”`;
  return text('message') ?? text('phase') ?? text('prompt') ?? JSON.stringify(event);
}

/** JSON has its own escapes for controls; what else does not show is named. */
function pretty({ event }: LogEntry): string {
  return JSON.stringify(event, null, 2).split('\n').map(plain).join('\n');
}
