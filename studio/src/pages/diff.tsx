/** Two runs side by side: settings, prompts, scores, and the examples that they answer differently. */
import { useState } from 'react';
import { api } from '../api.ts';
import { value } from '../format.ts';
import { useLoaded } from '../hooks.ts';
import { Card, Failure, Loading, ModelText, ScoreCell, TableFrame } from '../parts/bits.tsx';
import { Examples } from '../parts/examples.tsx';
import { Diff } from '../parts/lineage.tsx';
import { hrefOf } from '../router.ts';

export function DiffPage({ a, b }: { a: string; b: string }) {
  const { data, error, isLoading, reload } = useLoaded(`diff ${a} ${b}`, (signal) =>
    api.diff(a, b, signal),
  );
  return (
    <>
      <div className="page-head">
        <h1 tabIndex={-1}>Two runs compared</h1>
      </div>
      <Failure error={error} retry={reload} />
      {isLoading && <Loading what="both runs" />}
      {data && (
        <>
          <div className="columns">
            {(['a', 'b'] as const).map((side) => (
              <Card
                key={side}
                title={side === 'a' ? 'First run' : 'Second run'}
                actions={<a href={hrefOf(['runs', data[side]])}>{data[side]}</a>}
              >
                <blockquote>
                  {data.prompts[side] === undefined ? (
                    <span className="muted">no prompt yet</span>
                  ) : (
                    <ModelText text={data.prompts[side]} />
                  )}
                </blockquote>
                <p>
                  Right on the sealed test: <ScoreCell score={data.test?.[side]} />
                </p>
              </Card>
            ))}
          </div>
          {data.prompts.a !== undefined && data.prompts.b !== undefined && (
            <Card
              title="The prompts, word by word"
              about="Struck through: only in the first. Underlined: only in the second."
            >
              <Diff before={data.prompts.a} after={data.prompts.b} />
            </Card>
          )}
          <ExampleCard a={a} b={b} />
          <Card title="Settings that differ">
            <Differences
              label="Settings that differ"
              rows={[
                ...data.config.map((one) => [one.path, value(one.a), value(one.b)] as const),
                ...data.facts.map(({ name, a, b }) => [name, shortened(a), shortened(b)] as const),
              ]}
            />
          </Card>
        </>
      )}
    </>
  );
}

/** A fingerprint says by its beginning whether it is another. */
const shortened = (fact: string | undefined): string =>
  value(fact !== undefined && /^[0-9a-f]{64}$/.test(fact) ? `${fact.slice(0, 12)} …` : fact);

function Differences({
  label,
  rows,
}: {
  label: string;
  rows: readonly (readonly [string, string, string])[];
}) {
  if (rows.length === 0)
    return <p className="muted">None: settings, data, models and versions are the same.</p>;
  return (
    <TableFrame label={label}>
      <table className="stack">
        <thead>
          <tr>
            <th scope="col">What</th>
            <th scope="col">First</th>
            <th scope="col">Second</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(([name, first, second]) => (
            <tr key={`${name} ${first} ${second}`}>
              <th scope="row">
                <code>{name}</code>
              </th>
              <td data-label="First">
                <ModelText text={first} />
              </td>
              <td data-label="Second">
                <ModelText text={second} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </TableFrame>
  );
}

/** Asked for only on demand: the task LM answers anew, which takes its time. */
function ExampleCard({ a, b }: { a: string; b: string }) {
  const [split, setSplit] = useState('validation');
  const [asked, setAsked] = useState<string>();
  const { data, error, isLoading } = useLoaded(asked, async (signal) => {
    const query = { split, limit: 100 };
    const first = await api.examples(a, query, signal);
    return [first, await api.examples(b, query, signal)] as const;
  });
  const isSame =
    data?.[0].rows.length === data?.[1].rows.length &&
    data?.[0].rows.every((row, i) => row.input === data[1].rows[i]?.input);
  return (
    <Card
      title="Examples that they answer differently"
      about="Each prompt is put before the task LM again. The sealed test examples stay sealed."
    >
      <div className="row">
        <label>
          Examples{' '}
          <select value={split} onChange={(event) => setSplit(event.target.value)}>
            <option value="validation">validation</option>
            <option value="train">train</option>
          </select>
        </label>
        <button
          type="button"
          disabled={isLoading}
          onClick={() => setAsked(`${a} ${b} ${split} ${Date.now()}`)}
        >
          {isLoading ? 'Answering …' : 'Answer with both prompts'}
        </button>
      </div>
      <Failure error={error} />
      {data && !isSame && (
        <p className="note">
          The two runs have different examples, so their answers cannot be put side by side.
        </p>
      )}
      {data && isSame && (
        <Examples
          columns={[
            { title: 'First run', rows: data[0].rows },
            { title: 'Second run', rows: data[1].rows },
          ]}
        />
      )}
    </Card>
  );
}
