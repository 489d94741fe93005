/** All runs, newest first: searched, filtered, two of them chosen to be compared. */
import { useState } from 'react';
import type { Page, RunSummary } from '../../../src/server/contract.ts';
import { api } from '../api.ts';
import { ago, duration, moment, number } from '../format.ts';
import { useLoaded, useNow } from '../hooks.ts';
import { Failure, Loading, ModelText, ScoreCell, StateMark } from '../parts/bits.tsx';
import { Sparkline } from '../parts/sparkline.tsx';
import { hrefOf } from '../router.ts';
import { states } from '../words.ts';

const PAGE = 50;

export function RunsPage() {
  const [wanted, setWanted] = useState(PAGE);
  const [search, setSearch] = useState('');
  const [state, setState] = useState('');
  const [method, setMethod] = useState('');
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const { data, error, isLoading, reload } = useLoaded(
    `runs ${wanted}`,
    (signal) => pagesOf(wanted, signal),
    { everyMs: 3000 },
  );
  const runs = data?.items ?? [];
  const methods = [...new Set(runs.map((run) => run.method))].sort();
  const shown = runs.filter(
    (run) =>
      (state === '' || run.state === state) &&
      (method === '' || run.method === method) &&
      matches(run, search.trim().toLowerCase()),
  );
  const choose = (id: string, isOn: boolean) =>
    setChosen((before) =>
      isOn
        ? [...before.filter((one) => one !== id), id].slice(-2)
        : before.filter((one) => one !== id),
    );
  return (
    <>
      <div className="page-head">
        <h1 tabIndex={-1}>Runs</h1>
        <a className="button primary" href={hrefOf(['new'])}>
          New run
        </a>
      </div>
      {error && !data && <Failure error={error} retry={reload} />}
      {isLoading && <Loading what="runs" />}
      {data && runs.length === 0 && <Empty />}
      {runs.length > 0 && (
        <>
          <search className="row filters">
            <label>
              Search{' '}
              <input
                type="search"
                data-search
                value={search}
                onChange={(event) => setSearch(event.target.value)}
                placeholder="prompt, task, id"
              />
            </label>
            <label>
              State{' '}
              <select value={state} onChange={(event) => setState(event.target.value)}>
                <option value="">any</option>
                {Object.entries(states).map(([name, { title }]) => (
                  <option key={name} value={name}>
                    {title}
                  </option>
                ))}
              </select>
            </label>
            <label>
              Method{' '}
              <select value={method} onChange={(event) => setMethod(event.target.value)}>
                <option value="">any</option>
                {methods.map((name) => (
                  <option key={name}>{name}</option>
                ))}
              </select>
            </label>
            {chosen.length === 2 ? (
              <a className="button primary" href={hrefOf(['diff', chosen[0]!, chosen[1]!])}>
                Compare the two
              </a>
            ) : (
              <span className="muted">
                {chosen.length === 1 ? 'Choose one more to compare' : 'Choose two to compare'}
              </span>
            )}
          </search>
          <RunList runs={shown} chosen={chosen} choose={choose} />
          {shown.length === 0 && <p className="muted">No run is like that.</p>}
          {data?.next !== undefined && (
            <button type="button" onClick={() => setWanted(wanted + 2 * PAGE)}>
              Show older runs
            </button>
          )}
        </>
      )}
    </>
  );
}

async function pagesOf(wanted: number, signal: AbortSignal): Promise<Page<RunSummary>> {
  const items: RunSummary[] = [];
  let next: string | undefined;
  do {
    const query = {
      limit: Math.min(200, wanted - items.length),
      ...(next ? { before: next } : {}),
    };
    const page = await api.runs(query, signal);
    items.push(...page.items);
    next = page.items.length > 0 ? page.next : undefined;
  } while (next !== undefined && items.length < wanted);
  return { items, ...(next === undefined ? {} : { next }) };
}

function matches(run: RunSummary, search: string): boolean {
  return [run.id, run.task, run.method, run.bestPrompt ?? ''].some((text) =>
    text.toLowerCase().includes(search),
  );
}

interface ListProps {
  readonly runs: readonly RunSummary[];
  readonly chosen: readonly string[];
  choose(id: string, isOn: boolean): void;
}

function RunList({ runs, chosen, choose }: ListProps) {
  const now = useNow();
  if (runs.length === 0) return null;
  return (
    <table className="runs stack">
      <thead>
        <tr>
          <th scope="col">
            <span className="hidden">Choose to compare</span>
          </th>
          <th scope="col">Run</th>
          <th scope="col">State</th>
          <th scope="col">
            Score <span className="term">(95% interval)</span>
          </th>
          <th scope="col">
            Learning <span className="term">(reward)</span>
          </th>
          <th scope="col">Best prompt</th>
          <th scope="col">Started</th>
        </tr>
      </thead>
      <tbody>
        {runs.map((run) => (
          <tr key={run.id}>
            <td>
              <input
                type="checkbox"
                aria-label={`Choose run ${run.id}`}
                checked={chosen.includes(run.id)}
                onChange={(event) => choose(run.id, event.target.checked)}
              />
            </td>
            <td>
              <a className="run-link" href={hrefOf(['runs', run.id])}>
                {run.method} <span className="term">on</span> <ModelText text={run.task} />
              </a>
              <small className="id">{run.id}</small>
            </td>
            <td>
              <StateMark state={run.state} />
              <Progress run={run} />
            </td>
            <td data-label="Score">
              {run.test || run.validation ? (
                <>
                  <ScoreCell score={run.test ?? run.validation} />{' '}
                  <small className="muted">{run.test ? 'test' : 'validation'}</small>
                </>
              ) : (
                <span className="muted">not measured yet</span>
              )}
            </td>
            <td className={run.spark.length < 2 ? 'nothing' : undefined}>
              <Sparkline values={run.spark} />
            </td>
            <td className="prompt-cell">
              {run.error !== undefined ? (
                <span className="bad-text clamp">
                  <ModelText text={run.error} />
                </span>
              ) : run.bestPrompt === undefined ? (
                <span className="muted">none yet</span>
              ) : (
                <ModelText text={run.bestPrompt} />
              )}
              {run.test === undefined && run.bestReward !== undefined && (
                <small className="muted"> reward {number(run.bestReward)}</small>
              )}
            </td>
            <td className="figure-cell">
              <time dateTime={run.started} title={moment(run.started)}>
                {ago(run.started, now)}
              </time>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Progress({ run }: { run: RunSummary }) {
  if (run.state !== 'running' || run.spent === undefined) return null;
  return (
    <small className="block">
      <progress value={run.spent} max={1} aria-label="Share of the budget that is spent" />{' '}
      {run.secondsLeft !== undefined && (
        <span className="muted nowrap">{duration(run.secondsLeft)} left</span>
      )}
    </small>
  );
}

function Empty() {
  return (
    <section className="card empty">
      <h2>No run yet</h2>
      <p>
        A run searches for a prompt: it writes one, lets a model answer with it, compares the
        answers with the right ones, and learns from how well that went.
      </p>
      <ol>
        <li>
          <a href={hrefOf(['new'])}>Set one up here</a>, with your own examples in a CSV file; or
        </li>
        <li>
          type <code>whetstone demo</code> in a terminal: it brings its own examples and takes about
          5 minutes.
        </li>
      </ol>
      <p>Runs that are started in a terminal appear here, too.</p>
    </section>
  );
}
