/** The final table: what was found beside the yardsticks, on examples that nothing has seen before. */
import type { ResultRow } from '../../../src/server/contract.ts';
import { ModelText, ScoreCell, TableFrame } from './bits.tsx';

export function Results({ rows }: { rows: readonly ResultRow[] }) {
  return (
    <TableFrame label="Results">
      <table className="results cards">
        <thead>
          <tr>
            <th scope="col">What</th>
            <th scope="col">Prompt</th>
            <th scope="col">Validation</th>
            <th scope="col">Sealed test</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ method, prompt, validation, test }, i) => (
            <tr key={method} className={i === rows.length - 1 ? 'found' : undefined}>
              <th scope="row">{method}</th>
              <td>
                <ModelText text={prompt} />
              </td>
              <td data-label="Validation">
                <ScoreCell score={validation} />
              </td>
              <td data-label="Sealed test">
                <ScoreCell score={test} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </TableFrame>
  );
}
