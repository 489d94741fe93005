/** A dot for the mean and a line for its 95% interval, one row a method, on a common axis. */

import { interval, number, share } from '../format.ts';
import { useWidth } from '../hooks.ts';
import { ticks } from './ticks.ts';

export interface Whisker {
  readonly name: string;
  readonly look: number;
  readonly mean: number;
  readonly interval: readonly [number, number];
}

const ROW = 40;
/** Room for half of the label of the first and the last mark. */
const SIDE = 20;

export function Whiskers({ rows }: { rows: readonly Whisker[] }) {
  const [box, width] = useWidth<HTMLDivElement>();
  const all = rows.flatMap((row) => [...row.interval, row.mean]);
  const marks = ticks(Math.min(...all), Math.max(...all), width < 500 ? 4 : 8);
  const [low, high] = [marks[0]!, marks.at(-1)!];
  const x = (value: number) => SIDE + ((value - low) / (high - low)) * (width - 2 * SIDE);
  const height = ROW * rows.length + 26;
  const label = rows.map((r) => `${r.name} ${share(r.mean)}, ${interval(r.interval)}`).join('; ');
  return (
    <div ref={box} className="figure">
      {width > 0 && rows.length > 0 && (
        <svg width={width} height={height} role="img" aria-label={`Accuracy: ${label}`}>
          {marks.map((mark) => (
            <g key={mark}>
              <line className="grid" x1={x(mark)} x2={x(mark)} y1={0} y2={height - 22} />
              <text className="tick" x={x(mark)} y={height - 6} textAnchor="middle">
                {number(mark * 100)}%
              </text>
            </g>
          ))}
          {rows.map((row, i) => (
            <g key={row.name} className={`look look-${row.look}`}>
              <text className="name" x={SIDE} y={ROW * i + 14}>
                {row.name}
              </text>
              <text className="value" x={width - SIDE} y={ROW * i + 14} textAnchor="end">
                {share(row.mean)}
              </text>
              <line
                className="whisker"
                x1={x(row.interval[0])}
                x2={x(row.interval[1])}
                y1={ROW * i + 27}
                y2={ROW * i + 27}
              />
              <circle cx={x(row.mean)} cy={ROW * i + 27} r={5} />
            </g>
          ))}
        </svg>
      )}
    </div>
  );
}
