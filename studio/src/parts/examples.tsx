/** Answers to examples beside gold: of one prompt, or of two with the rows in which they differ. */
import { useState } from 'react';
import type { ExampleRow } from '../../../src/server/contract.ts';
import { count, share } from '../format.ts';
import { ModelText, Right, TableFrame } from './bits.tsx';

export interface Column {
  readonly title: string;
  readonly rows: readonly ExampleRow[];
}

export function Examples({
  columns,
  hasGold = true,
}: {
  columns: readonly Column[];
  hasGold?: boolean;
}) {
  const [onlyOthers, setOnlyOthers] = useState(columns.length > 1 && hasGold);
  const rows = (columns[0]?.rows ?? []).map((first, i) => ({
    number: i + 1,
    input: first.input,
    gold: first.gold,
    answers: columns.map((column) => column.rows[i]),
  }));
  const differ = rows.filter(({ answers }) =>
    answers.some((row) => row?.answer !== answers[0]?.answer),
  );
  const shown = onlyOthers && columns.length > 1 ? differ : rows;
  return (
    <>
      {columns.length > 1 && (
        <label className="check">
          <input
            type="checkbox"
            checked={onlyOthers}
            onChange={(event) => setOnlyOthers(event.target.checked)}
          />
          Only where the answers differ ({count(differ.length)} of {count(rows.length)})
        </label>
      )}
      {shown.length === 0 ? (
        <p className="muted">They answer every one of these examples alike.</p>
      ) : (
        <TableFrame label="Examples">
          <table className="examples cards">
            <thead>
              <tr>
                <th scope="col">#</th>
                <th scope="col">Input</th>
                {hasGold && <th scope="col">Right answer (gold)</th>}
                {columns.map(({ title }) => (
                  <th key={title} scope="col">
                    {title}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {shown.map(({ number, input, gold, answers }) => (
                <tr key={number}>
                  <td className="muted">{number}</td>
                  <td>
                    <ModelText text={input} />
                  </td>
                  {hasGold && (
                    <td data-label="Right answer (gold)">
                      <ModelText text={gold} />
                    </td>
                  )}
                  {answers.map((row, i) => (
                    <td key={columns[i]!.title} data-label={columns[i]!.title}>
                      {row && <Answer row={row} hasGold={hasGold} />}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </TableFrame>
      )}
    </>
  );
}

function Answer({ row, hasGold }: { row: ExampleRow; hasGold: boolean }) {
  return (
    <>
      <ModelText text={row.answer} /> {hasGold && <Right isRight={row.isRight} />}
      {row.shares && (
        <small className="shares">
          {Object.entries(row.shares).map(([word, p]) => (
            <span key={word}>
              <ModelText text={word} /> {share(p)}
            </span>
          ))}
        </small>
      )}
    </>
  );
}
