/** A line of at most 32 rewards, for a list; its words say where it started and ended. */
import { number } from '../format.ts';

const [WIDTH, HEIGHT] = [96, 24];

export function Sparkline({ values }: { values: readonly number[] }) {
  if (values.length < 2) return <span className="muted">–</span>;
  const low = Math.min(...values);
  const span = Math.max(...values) - low || 1;
  const points = values.map((value, i) => {
    const x = 2 + ((WIDTH - 4) * i) / (values.length - 1);
    return `${x.toFixed(1)},${(HEIGHT - 3 - ((HEIGHT - 6) * (value - low)) / span).toFixed(1)}`;
  });
  const [x, y] = points.at(-1)!.split(',');
  const label = `Mean reward from ${number(values[0]!)} to ${number(values.at(-1)!)}`;
  return (
    <svg className="spark" width={WIDTH} height={HEIGHT} role="img" aria-label={label}>
      <polyline points={points.join(' ')} />
      <circle cx={x} cy={y} r="2" />
    </svg>
  );
}
