/** Best reward against what was spent: one line a method, told apart by dashes as well as by colour. */

import { count, number } from '../format.ts';
import { useWidth } from '../hooks.ts';
import { ticks } from './ticks.ts';

export interface Curve {
  readonly method: string;
  readonly look: number;
  readonly points: readonly { readonly evaluations: number; readonly reward: number }[];
}

const HEIGHT = 260;
const [LEFT, RIGHT, TOP, BOTTOM] = [48, 30, 12, HEIGHT - 40];

export function Curves({ curves }: { curves: readonly Curve[] }) {
  const [box, width] = useWidth<HTMLDivElement>();
  const drawn = curves.filter(({ points }) => points.length > 0);
  const others = curves.filter(({ points }) => points.length === 0).map(({ method }) => method);
  const all = drawn.flatMap(({ points }) => points);
  const xs = ticks(0, Math.max(1, ...all.map((p) => p.evaluations)), width < 500 ? 3 : 6);
  const ys = ticks(Math.min(...all.map((p) => p.reward)), Math.max(...all.map((p) => p.reward)), 5);
  const x = (v: number) => LEFT + (v / xs.at(-1)!) * (width - LEFT - RIGHT);
  const y = (v: number) => BOTTOM - ((v - ys[0]!) / (ys.at(-1)! - ys[0]!)) * (BOTTOM - TOP);
  const label = drawn
    .map(({ method, points }) => `${method} reaches ${number(points.at(-1)!.reward)}`)
    .join('; ');
  return (
    // Its width is watched from the start, also where the first points come later.
    <div ref={box} className="figure">
      {all.length === 0 && (
        <p className="muted">No search has ended yet, or none found a prompt step by step.</p>
      )}
      {width > 0 && all.length > 0 && (
        <svg
          width={width}
          height={HEIGHT}
          role="img"
          aria-label={`Best reward against budget: ${label}`}
        >
          {ys.map((mark) => (
            <g key={mark}>
              <line className="grid" x1={LEFT} x2={width - RIGHT} y1={y(mark)} y2={y(mark)} />
              <text className="tick" x={LEFT - 6} y={y(mark) + 4} textAnchor="end">
                {number(mark)}
              </text>
            </g>
          ))}
          {xs.map((mark) => (
            <text key={mark} className="tick" x={x(mark)} y={BOTTOM + 16} textAnchor="middle">
              {count(mark)}
            </text>
          ))}
          <text className="tick" x={width - RIGHT} y={HEIGHT - 6} textAnchor="end">
            answers asked for (task-LM evaluations)
          </text>
          {drawn.map(({ method, look, points }) => (
            <g key={method} className={`look look-${look}`}>
              <path
                d={points
                  .map(
                    (p, i) =>
                      `${i ? 'L' : 'M'}${x(p.evaluations).toFixed(1)} ${y(p.reward).toFixed(1)}`,
                  )
                  .join('')}
              />
              <circle cx={x(points.at(-1)!.evaluations)} cy={y(points.at(-1)!.reward)} r={4} />
            </g>
          ))}
        </svg>
      )}
      <ul className="legend">
        {drawn.map(({ method, look }) => (
          <li key={method} className={`look look-${look}`}>
            <svg width="28" height="10" aria-hidden="true">
              <path d="M0 5H28" />
            </svg>
            {method}
          </li>
        ))}
        {drawn.length > 0 && others.length > 0 && (
          <li className="muted">no curve of {others.join(', ')}: no best prompt on the way</li>
        )}
      </ul>
    </div>
  );
}
