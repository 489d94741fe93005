/** Comparisons: a list, and of one of them the methods with intervals, curves, pairs and verdict. */
import type { ComparisonDetail } from '../../../src/server/contract.ts';
import { api } from '../api.ts';
import { Curves } from '../charts/curves.tsx';
import { Whiskers } from '../charts/whiskers.tsx';
import { ago, count, duration, interval, number, pValue, share } from '../format.ts';
import { useLoaded, useNow } from '../hooks.ts';
import { Card, Failure, Loading, ModelText, TableFrame } from '../parts/bits.tsx';
import { hrefOf } from '../router.ts';

export function ComparisonsPage() {
  const now = useNow();
  const { data, error, isLoading, reload } = useLoaded('comparisons', api.comparisons, {
    everyMs: 5000,
  });
  return (
    <>
      <div className="page-head">
        <h1 tabIndex={-1}>Compare</h1>
        <a className="button primary" href={hrefOf(['new'], { compare: 'yes' })}>
          New comparison
        </a>
      </div>
      <Failure error={error} retry={reload} />
      {isLoading && <Loading what="comparisons" />}
      {data?.items.length === 0 && (
        <section className="card empty">
          <h2>No comparison yet</h2>
          <p>
            A comparison lets several methods search on the same examples, with the same budget,
            several times each, and says which differences are more than chance.
          </p>
          <p>
            <a href={hrefOf(['new'], { compare: 'yes' })}>Set one up here</a>, or type{' '}
            <code>whetstone compare whetstone.yaml --methods manual,soft-q</code>. To compare two
            runs, choose them in the <a href={hrefOf(['runs'])}>list of runs</a>.
          </p>
        </section>
      )}
      {data && data.items.length > 0 && (
        <table className="stack">
          <thead>
            <tr>
              <th scope="col">Comparison</th>
              <th scope="col">Methods</th>
              <th scope="col">Done</th>
              <th scope="col">Started</th>
            </tr>
          </thead>
          <tbody>
            {data.items.map((one) => (
              <tr key={one.id}>
                <td>
                  <a className="run-link" href={hrefOf(['compare', one.id])}>
                    <ModelText text={one.task} />
                  </a>
                  <small className="id">{one.id}</small>
                </td>
                <td>{one.methods.join(', ')}</td>
                <td>
                  {one.done} of {one.total} searches
                  {one.failed > 0 && <span className="bad-text">, {one.failed} failed</span>}
                </td>
                <td>{ago(one.started, now)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}

export function ComparisonPage({ id }: { id: string }) {
  const { data, error, isLoading, reload } = useLoaded(
    `comparison ${id}`,
    (signal) => api.comparison(id, signal),
    {
      everyMs: 10_000,
    },
  );
  return (
    <>
      <div className="page-head">
        <div>
          <h1 tabIndex={-1}>{data ? <ModelText text={data.task} /> : 'Comparison'}</h1>
          {data && (
            <p className="under-head muted">
              {data.methods.length} methods, {data.repetitions}{' '}
              {data.repetitions === 1 ? 'search' : 'searches'} each, {data.done} of {data.total}{' '}
              done
            </p>
          )}
        </div>
      </div>
      <Failure error={error} retry={reload} />
      {isLoading && <Loading what="the comparison" />}
      {data && <Compared comparison={data} />}
    </>
  );
}

function Compared({ comparison }: { comparison: ComparisonDetail }) {
  const look = (method: string) => comparison.methods.indexOf(method) % 8;
  const tested = comparison.rows.flatMap(({ method, test }) =>
    test ? [{ name: method, look: look(method), ...test }] : [],
  );
  return (
    <>
      {comparison.verdict.length > 0 && (
        <Card title="Verdict">
          {comparison.verdict.map((line) => (
            <p key={line} className="verdict">
              <ModelText text={line} />
            </p>
          ))}
        </Card>
      )}
      <Card
        title="How often right (accuracy on the sealed test)"
        about="Dot: mean over searches. Line: the range in which the true mean lies, 95 times in 100."
      >
        {tested.length > 0 ? (
          <Whiskers rows={tested} />
        ) : (
          <p className="muted">Nothing is tested yet.</p>
        )}
        <MethodTable comparison={comparison} />
      </Card>
      <Card
        title="What more budget buys (best reward against evaluations)"
        about="Reward of the best prompt so far, on train examples, after so many answers of the task LM: mean over searches."
      >
        <Curves
          curves={comparison.curves.map((curve) => ({ ...curve, look: look(curve.method) }))}
        />
        {comparison.curves.some(({ points }) => points.length > 0) && (
          <CurveTable curves={comparison.curves} />
        )}
      </Card>
      <Pairs pairs={comparison.pairs} />
      <Cells comparison={comparison} />
    </>
  );
}

function MethodTable({ comparison: { rows } }: { comparison: ComparisonDetail }) {
  const costs = rows.some(({ usd }) => usd !== 0);
  return (
    <TableFrame label="Methods">
      <table className="cards">
        <thead>
          <tr>
            <th scope="col">Method</th>
            <th scope="col">Test</th>
            <th scope="col">Validation</th>
            <th scope="col">Evaluations</th>
            <th scope="col">Time</th>
            {costs && <th scope="col">Money</th>}
            <th scope="col">Prompts found</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.method}>
              <th scope="row">
                {row.method}{' '}
                {row.kindOfResult !== 'text' && <small className="muted">{row.kindOfResult}</small>}
              </th>
              <td data-label="Test">
                {row.test ? (
                  <span className="score">
                    <b>{share(row.test.mean)}</b> <small>{interval(row.test.interval)}</small>
                  </span>
                ) : (
                  '–'
                )}
              </td>
              <td className="figure-cell" data-label="Validation">
                {Number.isFinite(row.validation) ? share(row.validation) : '–'}
              </td>
              <td className="figure-cell" data-label="Evaluations">
                {count(row.evaluations)}
              </td>
              <td className="figure-cell" data-label="Time">
                {duration(row.seconds)}
              </td>
              {costs && (
                <td className="figure-cell" data-label="Money">
                  {row.usd === null ? 'price not known' : `$${row.usd.toFixed(4)}`}
                </td>
              )}
              <td>
                <ul className="plain">
                  {[...new Set(row.prompts)].map((prompt) => (
                    <li key={prompt}>
                      <ModelText text={prompt} />
                    </li>
                  ))}
                </ul>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </TableFrame>
  );
}

function CurveTable({ curves }: Pick<ComparisonDetail, 'curves'>) {
  return (
    <details className="as-table">
      <summary>Table of the curves</summary>
      <TableFrame label="Best reward against evaluations">
        <table>
          <thead>
            <tr>
              <th scope="col">Method</th>
              <th scope="col">Evaluations</th>
              <th scope="col">Best reward</th>
            </tr>
          </thead>
          <tbody>
            {curves.flatMap(({ method, points }) =>
              points.map(({ evaluations, reward }, i) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: points of a curve have their order alone
                <tr key={`${method} ${i}`}>
                  <th scope="row">{method}</th>
                  <td>{count(evaluations)}</td>
                  <td>{number(reward)}</td>
                </tr>
              )),
            )}
          </tbody>
        </table>
      </TableFrame>
    </details>
  );
}

function Pairs({ pairs }: Pick<ComparisonDetail, 'pairs'>) {
  if (pairs.length === 0) return null;
  return (
    <Card
      title="Pair by pair"
      about="A difference counts where p, adjusted for looking at many pairs (Holm), is below 0.05 and its range leaves out 0."
    >
      <TableFrame label="Pairs of methods">
        <table className="cards">
          <thead>
            <tr>
              <th scope="col">Pair</th>
              <th scope="col">Difference</th>
              <th scope="col">p</th>
              <th scope="col">p adjusted</th>
              <th scope="col">More than chance?</th>
            </tr>
          </thead>
          <tbody>
            {pairs.map((pair) => {
              const [low, high] = pair.interval;
              const isClear = pair.pAdjusted < 0.05 && (low > 0 || high < 0);
              return (
                <tr key={`${pair.a} ${pair.b}`}>
                  <th scope="row">
                    {pair.a} – {pair.b}
                  </th>
                  <td>
                    <b>{points(pair.difference)}</b>{' '}
                    <small>
                      {points(low)} to {points(high)}
                    </small>
                  </td>
                  <td data-label="By itself">{pValue(pair.p)}</td>
                  <td data-label="Adjusted">{pValue(pair.pAdjusted)}</td>
                  <td data-label="More than chance">
                    {isClear ? <b>yes</b> : <span className="muted">may be chance</span>}
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </TableFrame>
    </Card>
  );
}

/** Percentage points with their sign. */
const points = (difference: number): string =>
  `${difference > 0 ? '+' : difference < 0 ? '−' : ''}${number(Math.abs(difference * 100))} points`;

function Cells({ comparison: { cells, methods, repetitions } }: { comparison: ComparisonDetail }) {
  return (
    <Card title="Every search">
      <TableFrame label="Searches by method and repetition">
        <table>
          <thead>
            <tr>
              <th scope="col">Method</th>
              {Array.from({ length: repetitions }, (_, r) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: repetitions are numbered
                <th key={r} scope="col">
                  {r + 1}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {methods.map((method) => (
              <tr key={method}>
                <th scope="row">{method}</th>
                {Array.from({ length: repetitions }, (_, r) => {
                  const cell = cells.find((one) => one.method === method && one.repetition === r);
                  return (
                    // biome-ignore lint/suspicious/noArrayIndexKey: repetitions are numbered
                    <td key={r}>
                      {!cell && <span className="muted">waiting</span>}
                      {cell &&
                        (cell.run === undefined ? (
                          cell.state
                        ) : (
                          <a href={hrefOf(['runs', cell.run])}>
                            {cell.state}
                            <span className="hidden">
                              : {method}, search {r + 1}
                            </span>
                          </a>
                        ))}
                      {cell?.error !== undefined && (
                        <small className="block bad-text">
                          <ModelText text={cell.error} />
                        </small>
                      )}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </TableFrame>
    </Card>
  );
}
