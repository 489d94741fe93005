/**
 * Charts as inline SVG without scripts. They are drawn 400 units wide, so that their text can be
 * read on a telephone; colours and dashes of the methods come from the page's style sheet.
 */
import { formatCount, formatShare } from '../../util/format.ts';
import { html } from './escape.ts';

const WIDTH = 400;

export interface Bar {
  readonly method: string;
  /** Class of the method in the style sheet. */
  readonly look: number;
  readonly mean: number;
  readonly interval: readonly [low: number, high: number];
  /** One value a repetition. */
  readonly values: readonly number[];
}

/** Means with their intervals, and a small dot for every repetition. */
export function intervalChart(bars: readonly Bar[]): string {
  const all = bars.flatMap(({ interval, values }) => [...interval, ...values]);
  const ticks = niceTicks(Math.min(...all), Math.max(...all), 5);
  const [low, high] = [ticks[0]!, ticks.at(-1)!];
  const x = (value: number) => 10 + ((value - low) / (high - low)) * (WIDTH - 20);
  const height = 38 * bars.length + 24;
  const grid = ticks.map(
    (tick) =>
      `<line class="grid" x1="${n(x(tick))}" x2="${n(x(tick))}" y1="0" y2="${height - 20}"/>` +
      `<text class="tick" x="${n(x(tick))}" y="${height - 6}" text-anchor="middle">${Number((tick * 100).toFixed(1))}%</text>`,
  );
  const rows = bars.map(({ method, look, mean, interval, values }, i) => {
    const y = 38 * i + 26;
    const dots = values.map((v) => `<circle class="dot" cx="${n(x(v))}" cy="${y}" r="3"/>`);
    return [
      `<text x="10" y="${y - 11}">${html(method)}</text>`,
      `<text class="strong" x="${WIDTH - 10}" y="${y - 11}" text-anchor="end">${formatShare(mean)}</text>`,
      `<g class="m${look}"><line class="whisker" x1="${n(x(interval[0]))}" x2="${n(x(interval[1]))}" y1="${y}" y2="${y}"/>`,
      ...dots,
      `<circle class="mean" cx="${n(x(mean))}" cy="${y}" r="4.5"/></g>`,
    ].join('');
  });
  const label = bars
    .map((b) => `${b.method} ${formatShare(b.mean)} (${b.interval.map(formatShare).join(' to ')})`)
    .join('; ');
  return svg(height, label, [...grid, ...rows]);
}

export interface Line {
  readonly method: string;
  readonly look: number;
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** Lines over evaluations, or single points where a line has but one. */
export function lineChart(
  lines: readonly Line[],
  { yTitle, yFormat }: { yTitle: string; yFormat: (value: number) => string },
): string {
  const all = lines.flatMap(({ points }) => points);
  const xTicks = niceTicks(0, Math.max(...all.map(([x]) => x), 1), 4);
  const ys = all.map(([, y]) => y);
  const yTicks = niceTicks(Math.min(...ys), Math.max(...ys), 5);
  const height = 260;
  const [left, bottom, top] = [46, height - 38, 24];
  const x = scale([xTicks[0]!, xTicks.at(-1)!], [left, WIDTH - 12]);
  const y = scale([yTicks[0]!, yTicks.at(-1)!], [bottom, top]);
  const grid = [
    ...yTicks.map(
      (tick) =>
        `<line class="grid" x1="${left}" x2="${WIDTH - 12}" y1="${n(y(tick))}" y2="${n(y(tick))}"/>` +
        `<text class="tick" x="${left - 6}" y="${n(y(tick) + 3.5)}" text-anchor="end">${yFormat(tick)}</text>`,
    ),
    ...xTicks.map(
      (tick) =>
        `<text class="tick" x="${n(x(tick))}" y="${bottom + 15}" text-anchor="middle">${formatCount(tick)}</text>`,
    ),
    `<text class="tick" x="4" y="11">${html(yTitle)}</text>`,
    `<text class="tick" x="${WIDTH - 12}" y="${height - 6}" text-anchor="end">task-LM evaluations</text>`,
  ];
  const drawn = lines.map(({ look, points }) => {
    const path = points.map(([px, py], i) => `${i ? 'L' : 'M'}${n(x(px))} ${n(y(py))}`).join('');
    const [lastX, lastY] = points.at(-1)!;
    return (
      `<g class="m${look}">${points.length > 1 ? `<path class="line" d="${path}"/>` : ''}` +
      `<circle class="mean" cx="${n(x(lastX))}" cy="${n(y(lastY))}" r="4"/></g>`
    );
  });
  const label = lines.map((l) => `${l.method} ${yFormat(l.points.at(-1)![1])}`).join('; ');
  return svg(height, `${yTitle}: ${label}`, [...grid, ...drawn]);
}

/** Mean over repetitions of step functions (evaluations, value), on a common grid. */
export function meanCurve(
  curves: readonly (readonly (readonly [x: number, y: number])[])[],
  count = 60,
): [x: number, y: number][] {
  const filled = curves.filter((points) => points.length > 0);
  if (filled.length === 0) return [];
  const first = Math.max(...filled.map((points) => points[0]![0]));
  const last = Math.max(first, ...filled.map((points) => points.at(-1)![0]));
  const size = last > first ? count : 1;
  return Array.from({ length: size }, (_, i) => {
    const x = size === 1 ? last : first + ((last - first) * i) / (size - 1);
    const sum = filled.reduce((total, points) => total + valueAt(points, x), 0);
    return [x, sum / filled.length];
  });
}

function valueAt(points: readonly (readonly [number, number])[], x: number): number {
  return (points.findLast(([at]) => at <= x) ?? points[0]!)[1];
}

/** Round values that span low to high. */
export function niceTicks(low: number, high: number, count: number): number[] {
  const span = high - low || Math.abs(high) * 0.1 || 1;
  const raw = span / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw)!;
  const start = Math.floor(low / step + 1e-9);
  const end = Math.max(start + 1, Math.ceil(high / step - 1e-9));
  return Array.from({ length: end - start + 1 }, (_, i) =>
    Number(((start + i) * step).toFixed(10)),
  );
}

function scale(from: readonly [number, number], to: readonly [number, number]) {
  return (value: number) =>
    to[0] + ((value - from[0]) / (from[1] - from[0] || 1)) * (to[1] - to[0]);
}

const n = (value: number): string => String(Math.round(value * 10) / 10);

function svg(height: number, label: string, parts: readonly string[]): string {
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${html(label)}">${parts.join('')}</svg>`;
}
