/** Bars and sparklines out of block characters. */
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
const LEVELS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/** A bar of `columns` filled to `share` (0 to 1). */
export function bar(share: number, columns: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, share)) * columns * 8);
  const filled = '█'.repeat(Math.floor(eighths / 8)) + EIGHTHS[eighths % 8];
  return filled.padEnd(columns, '░');
}

/** The values as a line of at most `columns` blocks; longer series are averaged. */
export function sparkline(values: readonly number[], columns: number): string {
  const points = Math.min(columns, values.length);
  if (points < 1) return '';
  const means = Array.from({ length: points }, (_, i) => {
    const part = values.slice(
      Math.floor((i * values.length) / points),
      Math.floor(((i + 1) * values.length) / points),
    );
    return part.reduce((sum, value) => sum + value, 0) / part.length;
  });
  const low = Math.min(...means);
  const span = Math.max(...means) - low;
  const level = (value: number) => (span > 0 ? Math.round(((value - low) / span) * 7) : 3);
  return means.map((value) => LEVELS[level(value)] ?? LEVELS[0]).join('');
}
