/**
 * One measure over steps on a canvas (uPlot). Drag: zoom in; wheel sideways or Shift and drag: pan;
 * double click: everything. By keyboard: arrows pan, + and − zoom, 0 shows everything.
 */
import { type KeyboardEvent, useCallback, useEffect, useId, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { useShownTheme, useWidth } from '../hooks.ts';
import { distinct } from './ticks.ts';
import { pan, type Stretch, type Viewport, zoom } from './viewport.ts';

export interface LineChartProps {
  readonly label: string;
  readonly steps: readonly number[];
  readonly values: readonly number[];
  readonly format: (value: number) => string;
  readonly viewport: Viewport;
  /** Single readings rather than a line through every step. */
  readonly isSparse?: boolean;
  readonly height?: number;
}

export function LineChart(props: LineChartProps) {
  const { label, steps, values, format, viewport, isSparse = false, height = 150 } = props;
  const [box, width] = useWidth<HTMLFieldSetElement>();
  const plot = useRef<uPlot>(undefined);
  const readout = useRef<HTMLOutputElement>(null);
  const theme = useShownTheme();
  const hint = useId();
  const data = useRef<uPlot.AlignedData>([[], []]);
  data.current = [steps as number[], values as number[]];
  const formatted = useRef(format);
  formatted.current = format;
  const redraw = useCallback(() => plot.current?.setData(data.current, true), []);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the theme's colours are read anew
  useEffect(() => {
    if (width === 0 || !box.current) return;
    const made = new uPlot(
      optionsOf({
        width,
        height,
        isSparse,
        viewport,
        redraw,
        readout,
        format: (v) => formatted.current(v),
      }),
      data.current,
      box.current,
    );
    plot.current = made;
    const stop = viewport.subscribe(redraw);
    return () => {
      stop();
      made.destroy();
      plot.current = undefined;
    };
  }, [width > 0, theme, height, isSparse, viewport]);

  useEffect(() => {
    if (width > 0) plot.current?.setSize({ width, height });
  }, [width, height]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: what is drawn is what was given
  useEffect(redraw, [steps, values]);

  const onKeyDown = (event: KeyboardEvent) => {
    const all: Stretch = [steps[0] ?? 0, steps.at(-1) ?? 1];
    const now = viewport.stretch ?? all;
    const next = movedBy(event.key, now, all);
    if (next === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    viewport.show(next === 'all' ? undefined : next, redraw);
  };

  return (
    <div className="chart">
      <fieldset
        ref={box}
        className="canvas"
        aria-label={`Chart: ${label}`}
        aria-describedby={hint}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it is panned and zoomed by the keyboard
        tabIndex={0}
        onKeyDown={onKeyDown}
        style={{ minHeight: height }}
      />
      <output ref={readout} className="readout" aria-hidden="true" />
      <p id={hint} hidden>
        Arrow keys move along the steps, plus and minus zoom, 0 shows everything. The same values
        stand in the table below the chart.
      </p>
    </div>
  );
}

/** Where a key leads; undefined where it leads nowhere. */
function movedBy(key: string, now: Stretch, all: Stretch): Stretch | 'all' | undefined {
  switch (key) {
    case 'ArrowLeft':
      return pan(now, -0.15, all);
    case 'ArrowRight':
      return pan(now, 0.15, all);
    case '+':
    case '=':
      return zoom(now, { factor: 0.7 }, all) ?? 'all';
    case '-':
      return zoom(now, { factor: 1.4 }, all) ?? 'all';
    case '0':
      return 'all';
    default:
      return undefined;
  }
}

interface Made {
  readonly width: number;
  readonly height: number;
  readonly isSparse: boolean;
  readonly viewport: Viewport;
  /** Draws this chart anew. */
  readonly redraw: () => void;
  readonly readout: { readonly current: HTMLOutputElement | null };
  readonly format: (value: number) => string;
}

/** Distances between marks of steps, which have no halves. */
const WHOLE = Array.from({ length: 10 }, (_, power) =>
  [1, 2, 5].map((n) => n * 10 ** power),
).flat();

function optionsOf(made: Made): uPlot.Options {
  const { width, height, isSparse, viewport, redraw, readout, format } = made;
  const colour = (name: string) =>
    getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const [ink, grid, line] = [colour('--muted'), colour('--line'), colour('--accent')];
  const font = '11px system-ui, sans-serif';
  const axis = { stroke: ink, font, grid: { stroke: grid, width: 1 }, ticks: { show: false } };
  return {
    width,
    height,
    padding: [8, 12, 0, 0],
    legend: { show: false },
    cursor: {
      sync: { key: 'run' },
      drag: { x: true, y: false, setScale: false },
      points: { size: 7 },
    },
    scales: { x: { time: false, range: (_, low, high) => spanOf(viewport, low, high) } },
    axes: [
      { ...axis, size: 24, space: 70, incrs: WHOLE },
      { ...axis, size: 58, space: 32, values: (_, marks) => distinct(marks, format) },
    ],
    series: [
      {},
      {
        stroke: line,
        width: 1.75,
        points: { show: isSparse, size: 6, fill: line, stroke: line },
      },
    ],
    hooks: {
      ready: [(u) => listen(u, viewport, redraw)],
      setSelect: [
        (u) => {
          if (u.select.width < 5) return;
          const at = (x: number) => u.posToVal(x, 'x');
          viewport.show([at(u.select.left), at(u.select.left + u.select.width)], redraw);
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
      setCursor: [
        ({ cursor: { idx }, data: [x, y] }) => {
          if (!readout.current) return;
          const value = idx == null ? undefined : y?.[idx];
          readout.current.textContent = value == null ? '' : `step ${x[idx!]}: ${format(value)}`;
        },
      ],
    },
  };
}

function spanOf({ stretch }: Viewport, low: number | null, high: number | null): [number, number] {
  if (stretch) return [...stretch];
  const [from, to] = [low ?? 0, high ?? 1];
  return from === to ? [from - 1, to + 1] : [from, to];
}

/** Panning and going back, on what uPlot lays over its canvas. */
function listen(u: uPlot, viewport: Viewport, redraw: () => void): void {
  const all = (): Stretch => [u.data[0][0] ?? 0, u.data[0].at(-1) ?? 1];
  const move = (pixels: number) => {
    const now = viewport.stretch ?? all();
    viewport.show(pan(now, pixels / (u.over.clientWidth || 1), all()), redraw);
  };
  u.over.addEventListener('dblclick', () => viewport.show(undefined, redraw));
  u.over.addEventListener(
    'wheel',
    (event) => {
      const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
      if (!viewport.stretch || Math.abs(sideways) < 1) return;
      event.preventDefault();
      move(sideways);
    },
    { passive: false },
  );
  u.over.addEventListener(
    'pointerdown',
    (event) => {
      if (!event.shiftKey || !viewport.stretch) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      let x = event.clientX;
      const drag = (moved: PointerEvent) => {
        move(x - moved.clientX);
        x = moved.clientX;
      };
      window.addEventListener('pointermove', drag);
      window.addEventListener('pointerup', () => window.removeEventListener('pointermove', drag), {
        once: true,
      });
    },
    { capture: true },
  );
}
