/**
 * What a run measured, thinned as it is written: a page that shows a million steps must not read them.
 *
 * Every 32 events of a run are summed up in a row: of each measure the least and the greatest value with
 * the steps that they stand at, exactly as recorded. Two rows make one of the next level, and so on. A
 * series is read from the finest level that fits into the asked points, the rest of the run from finer
 * levels and from its last events, so that the greatest and the least value of the whole run are always
 * among what is shown.
 *
 * Rows are made in the transaction of the event that fills them. What an earlier version recorded has
 * none: they are made up for when the run goes on, and until then evenly spaced steps stand for it.
 */
import { type Measured, stepNumbers, thinned } from '../util/measured.ts';
import type { RunEvent } from './events.ts';
import type { Database } from './sqlite.ts';

export type Measures = Readonly<Record<string, Measured>>;

/** A stretch of a run. */
export interface Summary {
  /** Steps in it. */
  readonly steps: number;
  readonly measures: Measures;
}

/** Events of a row of level 0. */
const EVENTS = 32;
/** Events, with their texts, that are held at once. */
const PIECE = 1024;
/** Measures of a run; a method takes a few dozen at most. */
const MAX_MEASURES = 64;

/** All that events measured, one after the other. */
export function summaryOf(events: readonly RunEvent[]): Summary {
  const measures = collector();
  let steps = 0;
  for (const event of events) {
    if (event.kind === 'step') steps++;
    const step = 'step' in event ? event.step : undefined;
    if (step === undefined) continue;
    for (const [name, value] of Object.entries(measuredBy(event))) {
      measures.put(name, step, value);
    }
  }
  return { steps, measures: measures.all() };
}

/** Stretches that follow one another as one. */
export function joined(summaries: readonly Summary[]): Summary {
  const measures = collector();
  for (const summary of summaries) {
    for (const [name, { step, value }] of Object.entries(summary.measures)) {
      for (const [i, at] of step.entries()) measures.put(name, at, value[i]!);
    }
  }
  return { steps: summaries.reduce((sum, { steps }) => sum + steps, 0), measures: measures.all() };
}

/** Takes values in the order of their steps; what comes for an earlier one is dropped. */
function collector() {
  const measures = new Map<string, { readonly step: number[]; readonly value: number[] }>();
  return {
    put(name: string, step: number, value: number): void {
      let measure = measures.get(name);
      if (!measure) {
        if (measures.size === MAX_MEASURES) return;
        measure = { step: [], value: [] };
        measures.set(name, measure);
      }
      if (step <= (measure.step.at(-1) ?? Number.NEGATIVE_INFINITY)) return;
      measure.step.push(step);
      measure.value.push(value);
    },
    all: (): Measures => Object.fromEntries(measures),
  };
}

/** A stretch of which at most `points` places of each measure are left. */
export function thinnedSummary({ steps, measures }: Summary, points: number): Summary {
  const left = Object.entries(measures).map(([name, one]) => [name, thinned(one, points)]);
  return { steps, measures: Object.fromEntries(left) };
}

/** Numbers of an event by stable names. */
function measuredBy(event: RunEvent): Record<string, number> {
  if (event.kind === 'step') return stepNumbers(event);
  if (event.kind !== 'validation') return {};
  const { score } = event.validation;
  return Number.isFinite(score) ? { validation: score } : {};
}

/** Makes the rows that events up to a number have filled. To be called inside of a transaction. */
export function sumUp(database: Database, run: string, lastSeq: number): void {
  const full = Math.floor(lastSeq / EVENTS);
  if (full === 0) return;
  let place = rowsOf(database, run);
  if (place === full) return;
  const put = database.prepare('INSERT INTO series VALUES (?, ?, ?, ?)');
  const keep = (level: number, at: number, summary: Summary) =>
    put.run(run, level, at, JSON.stringify(thinnedSummary(summary, 2)));
  const pair = database.prepare(
    'SELECT data FROM series WHERE run = ? AND level = ? AND place IN (?, ?) ORDER BY place',
  );
  for (; place < full; place++) {
    keep(0, place, summaryOf(measuring(database, run, place * EVENTS, (place + 1) * EVENTS)));
    for (let level = 1, at = place + 1; at % 2 === 0; level++) {
      at /= 2;
      const halves = pair.all(run, level - 1, 2 * at - 2, 2 * at - 1) as unknown as SeriesRow[];
      keep(level, at - 1, joined(halves.map(toSummary)));
    }
  }
}

/** Takes over the rows of another run's events up to a number. To be called inside of a transaction. */
export function copySeries(database: Database, from: string, to: string, upTo: number): void {
  database
    .prepare(
      `INSERT INTO series SELECT ?, level, place, data FROM series
       WHERE run = ? AND (place + 1) * (? << level) <= ?`,
    )
    .run(to, from, EVENTS, upTo);
}

/**
 * Stretches that together are the run up to an event, coarse enough that all of them have about `points`
 * places of a measure; and the number of that event. The last events are left to the caller as they were
 * recorded, and so is the whole of a run that is short.
 */
export function readSummaries(
  database: Database,
  run: string,
  { lastSeq, points }: { readonly lastSeq: number; readonly points: number },
): { readonly summaries: readonly Summary[]; readonly upTo: number } {
  const full = Math.min(rowsOf(database, run), Math.ceil(lastSeq / EVENTS) - 1);
  if (full <= 0 || lastSeq <= readWhole(points)) return { summaries: [], upTo: 0 };
  const coarsest = Math.ceil(Math.log2(lastSeq / readWhole(points)));
  const rows = database.prepare(
    'SELECT data FROM series WHERE run = ? AND level = ? AND place >= ? AND place < ? ORDER BY place',
  );
  const summaries: Summary[] = [];
  let done = 0;
  for (let level = coarsest; level >= 0; level--) {
    const [from, to] = [done / 2 ** level, Math.floor(full / 2 ** level)];
    summaries.push(...(rows.all(run, level, from, to) as unknown as SeriesRow[]).map(toSummary));
    done = to * 2 ** level;
  }
  return { summaries, upTo: EVENTS * full };
}

/** Events that are read as they were recorded for so many points: of level 0 two are left of a row. */
export const readWhole = (points: number): number => EVENTS * Math.max(1, Math.floor(points / 2));

/** What events measured after one number and up to another, read piece by piece. */
export function readMeasured(
  database: Database,
  run: string,
  [after, upTo]: readonly [number, number],
): Summary {
  const pieces: Summary[] = [];
  for (let at = after; at < upTo; at += PIECE) {
    pieces.push(summaryOf(measuring(database, run, at, Math.min(at + PIECE, upTo))));
  }
  return joined(pieces);
}

interface SeriesRow {
  data: string;
}

const toSummary = ({ data }: SeriesRow): Summary => JSON.parse(data) as Summary;

/** Of level 0: they lie without gaps. */
function rowsOf(database: Database, run: string): number {
  const row = database
    .prepare('SELECT max(place) AS place FROM series WHERE run = ? AND level = 0')
    .get(run) as { place: number | null };
  return row.place === null ? 0 : row.place + 1;
}

/** Events that measure something, after one number and up to another. */
function measuring(database: Database, run: string, after: number, upTo: number): RunEvent[] {
  const rows = database
    .prepare(
      `SELECT data FROM events WHERE run = ? AND seq > ? AND seq <= ?
         AND kind IN ('step', 'validation') ORDER BY seq`,
    )
    .all(run, after, upTo) as unknown as SeriesRow[];
  return rows.map(({ data }) => JSON.parse(data) as RunEvent);
}
