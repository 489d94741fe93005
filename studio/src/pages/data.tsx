/** The examples of a run or a configuration: splits, how often each gold value stands, duplicates, leaks. */
import { useState } from 'react';
import type { DataReport } from '../../../src/server/contract.ts';
import { api } from '../api.ts';
import { count, share } from '../format.ts';
import { useLoaded } from '../hooks.ts';
import { Card, Failure, Loading, ModelText, TableFrame } from '../parts/bits.tsx';
import { go, hrefOf } from '../router.ts';
import { plain } from '../visible.ts';

export function DataPage({ run }: { run?: string | undefined }) {
  const runs = useLoaded('runs for data', (signal) => api.runs({ limit: 100 }, signal));
  const items = runs.data?.items ?? [];
  const id = run ?? items[0]?.id;
  const [yaml, setYaml] = useState('');
  const [asked, setAsked] = useState<string>();
  const report = useLoaded(asked ?? (id === undefined ? undefined : `run ${id}`), (signal) =>
    api.data(asked === undefined ? { run: id! } : { yaml: asked }, signal),
  );
  return (
    <>
      <div className="page-head">
        <h1 tabIndex={-1}>Data</h1>
      </div>
      <p className="lede">
        A search learns from the <b>train</b> examples, chooses by the <b>validation</b> examples,
        and is judged once by the sealed <b>test</b> examples, of which only the numbers are shown.
      </p>
      <div className="columns">
        <label className="field">
          <span>Examples of run</span>
          <select
            value={id ?? ''}
            disabled={items.length === 0}
            onChange={(event) => {
              setAsked(undefined);
              go(['data'], { run: event.target.value });
            }}
          >
            {id === undefined && <option value="">no run yet</option>}
            {id !== undefined && !items.some((one) => one.id === id) && (
              <option value={id}>{id}</option>
            )}
            {items.map((one) => (
              <option key={one.id} value={one.id}>
                {plain(`${one.task}, ${one.method} (${one.id})`)}
              </option>
            ))}
          </select>
        </label>
        <details className="field">
          <summary>Or of a configuration</summary>
          <label>
            <span className="hidden">Configuration as YAML</span>
            <textarea
              className="yaml"
              rows={6}
              spellCheck={false}
              placeholder={'task:\n  data: reviews.csv'}
              value={yaml}
              onChange={(event) => setYaml(event.target.value)}
            />
          </label>
          <button type="button" disabled={yaml.trim() === ''} onClick={() => setAsked(yaml)}>
            Look at it
          </button>
        </details>
      </div>
      <Failure error={report.error ?? runs.error} retry={report.reload} />
      {report.isLoading && <Loading what="the examples" />}
      {runs.data && id === undefined && asked === undefined && (
        <p className="muted">
          No run brings data yet: <a href={hrefOf(['new'])}>start one</a>, or paste a configuration.
        </p>
      )}
      {report.data && <Report report={report.data} />}
    </>
  );
}

function Report({ report }: { report: DataReport }) {
  const leaks = report.duplicates.filter(({ isLeak }) => isLeak);
  return (
    <>
      <Card title={<ModelText text={report.task} />}>
        <p className={leaks.length > 0 ? 'note note-bad' : 'note note-good'}>
          {leaks.length > 0
            ? `${count(leaks.length)} ${leaks.length === 1 ? 'text stands' : 'texts stand'} in more than one split (a leak): scores are better than they should be.`
            : 'No text stands in more than one split (no leak).'}
        </p>
        {report.warnings.length > 0 && (
          <ul className="warnings">
            {report.warnings.map((message) => (
              <li key={message}>
                <ModelText text={message} />
              </li>
            ))}
          </ul>
        )}
        <div className="splits">
          {report.splits.map((split) => (
            <Split key={split.name} split={split} />
          ))}
        </div>
      </Card>
      {report.duplicates.length > 0 && <Duplicates duplicates={report.duplicates} />}
      {report.splits
        .filter(({ rows }) => rows.length > 0)
        .map(({ name, rows, examples }) => (
          <Card
            key={name}
            title={`First ${name} examples`}
            about={`${count(rows.length)} of ${count(examples)}`}
          >
            <TableFrame label={`Examples of ${name}`}>
              <table className="examples cards">
                <thead>
                  <tr>
                    <th scope="col">#</th>
                    <th scope="col">Input</th>
                    <th scope="col">Right answer (gold)</th>
                  </tr>
                </thead>
                <tbody>
                  {rows.map(({ input, gold }, i) => (
                    // biome-ignore lint/suspicious/noArrayIndexKey: rows of a file have their place alone
                    <tr key={i}>
                      <td className="muted">{i + 1}</td>
                      <td>
                        <ModelText text={input} />
                      </td>
                      <td data-label="Right answer (gold)">
                        <ModelText text={gold} />
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </TableFrame>
          </Card>
        ))}
    </>
  );
}

const titles = {
  train: 'Train: learns from',
  validation: 'Validation: chooses by',
  test: 'Test: sealed',
};

function Split({ split }: { split: DataReport['splits'][number] }) {
  const most = Math.max(1, ...split.gold.map((one) => one.count));
  return (
    <div className="split">
      <h3>{titles[split.name]}</h3>
      <p className="big">{count(split.examples)}</p>
      <table className="bars">
        <caption className="hidden">Gold values of {split.name}</caption>
        <tbody>
          {split.gold.slice(0, 12).map(({ value, count: times }) => (
            <tr key={value}>
              <th scope="row">
                <ModelText text={value} />
              </th>
              <td>
                <span
                  className="bar"
                  style={{ width: `${(100 * times) / most}%` }}
                  aria-hidden="true"
                />
              </td>
              <td>
                {count(times)}{' '}
                <small className="muted">{share(times / Math.max(1, split.examples))}</small>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {split.gold.length > 12 && (
        <p className="muted">and {count(split.gold.length - 12)} more values</p>
      )}
    </div>
  );
}

function Duplicates({ duplicates }: Pick<DataReport, 'duplicates'>) {
  return (
    <Card title="Texts that stand more than once (duplicates)">
      <TableFrame label="Duplicates">
        <table className="examples cards">
          <thead>
            <tr>
              <th scope="col">Text</th>
              <th scope="col">Where</th>
              <th scope="col">Leak?</th>
            </tr>
          </thead>
          <tbody>
            {duplicates.map(({ input, places, isLeak }) => (
              <tr key={`${input} ${places[0]?.split}`}>
                <td>
                  <ModelText text={input} />
                </td>
                <td data-label="Where">
                  {places.map(({ split, row }) => `${split} ${row}`).join(', ')}
                </td>
                <td data-label="Leak?">
                  {isLeak ? <b className="bad-text">across splits</b> : 'no'}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </TableFrame>
    </Card>
  );
}
