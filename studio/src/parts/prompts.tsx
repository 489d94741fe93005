/** The best prompts of a run, a page at a time. */
import { useState } from 'react';
import { api } from '../api.ts';
import { count, number } from '../format.ts';
import { useLoaded } from '../hooks.ts';
import { hrefOf } from '../router.ts';
import { Failure, Loading, ModelText, ScoreCell, TableFrame } from './bits.tsx';

const PAGE = 10;

export function Prompts({ run, version }: { run: string; version: string }) {
  const [offset, setOffset] = useState(0);
  const { data, error, isLoading, reload } = useLoaded(`${run} ${offset} ${version}`, (signal) =>
    api.prompts(run, { limit: PAGE, offset }, signal),
  );
  if (error) return <Failure error={error} retry={reload} />;
  if (!data) return isLoading ? <Loading what="prompts" /> : null;
  if (data.items.length === 0) {
    return <p className="muted">Prompts are listed once the search has ended.</p>;
  }
  return (
    <>
      <TableFrame label="Best prompts">
        <table className="cards">
          <thead>
            <tr>
              <th scope="col">#</th>
              <th scope="col">Prompt</th>
              <th scope="col">Reward</th>
              <th scope="col">Validation</th>
              <th scope="col">Test</th>
              <th scope="col">
                <span className="hidden">Try</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {data.items.map(({ text, reward, validation, test }, i) => (
              <tr key={text}>
                <td className="muted">{offset + i + 1}</td>
                <td>
                  <ModelText text={text} />
                </td>
                <td className="figure-cell" data-label="Reward">
                  {reward === undefined ? '–' : number(reward)}
                </td>
                <td data-label="Validation">
                  <ScoreCell score={validation} />
                </td>
                <td data-label="Test">
                  <ScoreCell score={test} />
                </td>
                <td>
                  <a href={hrefOf(['playground'], { run, prompt: text })}>
                    Try<span className="hidden"> prompt {offset + i + 1}</span>
                  </a>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </TableFrame>
      {(data.next !== undefined || offset > 0) && (
        <div className="row">
          <button
            type="button"
            disabled={offset === 0}
            onClick={() => setOffset(Math.max(0, offset - PAGE))}
          >
            Better ones
          </button>
          <button
            type="button"
            disabled={data.next === undefined}
            onClick={() => setOffset(offset + PAGE)}
          >
            Further ones
          </button>
          <span className="muted">
            {count(offset + 1)} to {count(offset + data.items.length)}
            {data.total !== undefined && ` of ${count(data.total)}`}
          </span>
        </div>
      )}
    </>
  );
}
