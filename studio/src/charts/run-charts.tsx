/** The charts of a run: each with a line that explains it and a table of the same values. */
import { memo, useMemo, useState } from 'react';
import type { Measured } from '../../../src/util/measured.ts';
import { number, share } from '../format.ts';
import { Term } from '../parts/bits.tsx';
import type { Track } from '../thin.ts';
import { mainMeasures, measureOf } from '../words.ts';
import { LineChart } from './line-chart.tsx';
import { createViewport, type Viewport } from './viewport.ts';

export function RunCharts({ track }: { track: Track }) {
  const viewport = useMemo(() => createViewport(), []);
  const has = (name: string) =>
    name === 'validation'
      ? (track.validation?.step.length ?? 0) > 1
      : track[name]?.value.some((value) => value !== 0);
  const chart = (name: string) => (
    <Figure key={name} name={name} viewport={viewport} measured={track[name]!} />
  );
  const others = Object.keys(track).filter((name) => !mainMeasures.includes(name) && has(name));
  if (Object.keys(track).length === 0) {
    return <p className="muted">Nothing measured yet: the first step is under way.</p>;
  }
  return (
    <>
      <div className="charts">{mainMeasures.filter(has).map(chart)}</div>
      {others.length > 0 && (
        <details className="more">
          <summary>
            {others.length} more {others.length === 1 ? 'measure' : 'measures'} of this method
          </summary>
          <div className="charts">{others.map(chart)}</div>
        </details>
      )}
    </>
  );
}

interface FigureProps {
  readonly name: string;
  readonly measured: Measured;
  readonly viewport: Viewport;
}

const Figure = memo(function Figure({ name, measured, viewport }: FigureProps) {
  const { step: steps, value: values } = measured;
  const measure = measureOf(name);
  const [hasTable, setTable] = useState(false);
  const format =
    measure.format === 'share'
      ? share
      : measure.format === 'usd'
        ? (v: number) => `$${number(v)}`
        : number;
  const last = values.at(-1);
  return (
    <figure className="measure">
      <figcaption>
        <h3>
          <Term title={measure.title} term={measure.term} />
        </h3>
        <b className="now">{last === undefined ? '' : format(last)}</b>
        <p className="about">{measure.about}</p>
      </figcaption>
      <LineChart
        label={`${measure.title} (${measure.term}) over steps`}
        steps={steps}
        values={values}
        format={format}
        viewport={viewport}
        isSparse={name === 'validation'}
      />
      <details className="as-table" onToggle={(event) => setTable(event.currentTarget.open)}>
        <summary>
          Table<span className="hidden"> of {measure.title}</span>
        </summary>
        {hasTable && (
          <ValueTable name={measure.title} steps={steps} values={values} format={format} />
        )}
      </details>
    </figure>
  );
});

const ROWS = 60;

function ValueTable(props: {
  name: string;
  steps: readonly number[];
  values: readonly number[];
  format: (value: number) => string;
}) {
  const { name, steps, values, format } = props;
  const every = Math.ceil(steps.length / ROWS);
  const rows = steps.map((_, i) => i).filter((i) => i % every === 0 || i === steps.length - 1);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
    <section className="frame short" aria-label={`Table of ${name}`} tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">Step</th>
            <th scope="col">{name}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((i) => (
            <tr key={steps[i]}>
              <td>{steps[i]}</td>
              <td>{format(values[i]!)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
