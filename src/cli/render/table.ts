/** Tables of text: columns as wide as their cells, one of them giving way on a narrow terminal. */
import { displayWidth, pad, truncate, visible } from '../../util/text.ts';
import type { Style } from './style.ts';

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
  /** Cut, down to 12 columns, where the table is too wide. */
  readonly canShrink?: boolean;
}

const GAP = 2;

/** Lines of the table: a dim head, then the rows. */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  options: { style: Style; width: number },
): string[] {
  const cells = rows.map((row) => row.map((cell) => visible(cell)));
  const widths = columns.map(({ title }, i) =>
    Math.max(displayWidth(title), ...cells.map((row) => displayWidth(row[i] ?? ''))),
  );
  const excess = widths.reduce((sum, w) => sum + w + GAP, -GAP) - options.width;
  const shrinking = columns.findIndex((column) => column.canShrink === true);
  if (excess > 0 && shrinking >= 0) {
    widths[shrinking] = Math.max(12, widths[shrinking]! - excess);
  }
  const line = (row: readonly string[]) =>
    columns
      .map(({ align }, i) => {
        const cell = truncate(row[i] ?? '', widths[i]!);
        return pad(cell, widths[i]!, align === 'right' ? 'left' : 'right');
      })
      .join(' '.repeat(GAP))
      .trimEnd();
  return [options.style.dim(line(columns.map(({ title }) => title))), ...cells.map(line)];
}
