/**
 * A comparison as a person sees it: the grid of cells with the one that runs and the time left, a
 * line for a log now and then, and the tables at the end.
 */
import type { Compared } from '../../runs/compare.ts';
import type { Analysis } from '../../runs/compare-analysis.ts';
import type {
  CellEvent,
  CompareEvent,
  CompareResult,
  ComparisonEvent,
} from '../../runs/compare-events.ts';
import { pairWords, rowWords } from '../../runs/compare-words.ts';
import type { StepEvent } from '../../runs/events.ts';
import { formatCount, formatNumber, formatSeconds } from '../../util/format.ts';
import { pad, truncate, visible } from '../../util/text.ts';
import { bar, sparkline } from './chart.ts';
import { createProgressMeter } from './progress-line.ts';
import { bestWords, hasBest, quote } from './run-view.ts';
import type { Style } from './style.ts';
import { renderTable } from './table.ts';

export interface CompareView {
  onEvent(event: CompareEvent): void;
  lines(columns: number): string[];
  plain(): string | undefined;
}

interface State {
  grid?: ComparisonEvent;
  readonly cells: Map<string, CellEvent>;
  current?: CellEvent;
  step?: StepEvent;
  rewards: number[];
  isPreparing: boolean;
  /** False where the last event tells of a cell from before, or of one test pass for many. */
  isNews: boolean;
  last?: CompareEvent;
}

export function createCompareView(style: Style): CompareView {
  const meter = createProgressMeter();
  const s: State = { cells: new Map(), rewards: [], isPreparing: true, isNews: false };
  return {
    onEvent(event) {
      s.last = event;
      s.isPreparing = event.kind === 'progress';
      if (event.kind === 'comparison') s.grid = event;
      else if (event.kind === 'progress') meter.update(event);
      else if (event.kind === 'cell') {
        const isCurrent = s.current !== undefined && sameCell(s.current, event);
        s.isNews = isCurrent || event.state === 'running' || event.state === 'failed';
        s.cells.set(`${event.method} ${event.repetition}`, event);
        if (event.state === 'running') {
          s.current = event;
          delete s.step;
          s.rewards = [];
        } else if (isCurrent) delete s.current;
      } else if (event.kind === 'step') {
        s.step = event;
        s.rewards.push(event.reward);
      }
    },
    lines(columns) {
      const out: string[] = [];
      if (s.grid) {
        out.push(headline(s.grid, style), gridLine(s, s.grid, style));
        const width = Math.max(...s.grid.methods.map((name) => name.length));
        for (const name of s.grid.methods) out.push(methodLine(name, width, s, style));
      }
      if (s.current && s.step) out.push(...stepLines(s.step, s, columns, style));
      if (s.isPreparing) out.push(`  ${meter.line(style)}`);
      return out;
    },
    plain() {
      const { last, grid } = s;
      if (last?.kind === 'comparison') return headline(last, style);
      if (last?.kind === 'progress') return meter.plain();
      if (last?.kind === 'cell' && grid) {
        return s.isNews ? cellSentence(last, timeLeft(s, grid)) : undefined;
      }
      if (last?.kind === 'step' && s.current) return stepSentence(s.current, last);
      return undefined;
    },
  };
}

const sameCell = (a: CellEvent, b: CellEvent) =>
  a.method === b.method && a.repetition === b.repetition;

function headline(grid: ComparisonEvent, style: Style): string {
  const { train, validation, test } = grid.examples;
  const sizes = `${train} train, ${validation} validation, ${test} sealed test`;
  const [m, r] = [grid.methods.length, grid.repetitions.length];
  const size = `${m} ${m === 1 ? 'method' : 'methods'} × ${r} ${r === 1 ? 'repetition' : 'repetitions'}`;
  const resumed =
    grid.resumed > 0
      ? `, ${grid.resumed} ${grid.resumed === 1 ? 'cell' : 'cells'} taken from before`
      : '';
  return `${style.bold(size)} on ${visible(grid.task)} ${style.dim(`(${sizes})${resumed}`)}`;
}

function gridLine(s: State, grid: ComparisonEvent, style: Style): string {
  const total = grid.methods.length * grid.repetitions.length;
  const done = [...s.cells.values()].filter(({ state }) => state !== 'running').length;
  const within = s.current ? (s.step?.spent ?? 0) : 0;
  const drawn = style.cyan(bar((done + within) / total, 24));
  return `  ${drawn} ${done} of ${total} cells${timeLeft(s, grid, ' · ')}`;
}

/**
 * Time left by what each method's cells took so far. One of which none has run is taken for as long
 * as the slowest of those that have, never for longer than its budget: a budget of evaluations is
 * used up long before its minutes.
 */
function timeLeft(s: State, grid: ComparisonEvent, before = ', '): string {
  const known = new Map(grid.methods.flatMap((name) => forecast(name, s)));
  const slowest = known.size > 1 ? Math.max(...known.values()) : Infinity;
  let left = 0;
  for (const name of grid.methods) {
    const each = known.get(name) ?? Math.min(grid.budgetSeconds, slowest);
    for (const r of grid.repetitions.keys()) {
      const cell = s.cells.get(`${name} ${r}`);
      if (!cell) left += each;
      else if (cell.state === 'running') left += Math.min(each, s.step?.secondsLeft ?? each);
    }
  }
  if (left < 0.5) return '';
  return `${before}about ${formatSeconds(left)} left`;
}

/** Seconds of one cell of a method: in the mean of those done, or as the one that runs is going. */
function forecast(name: string, s: State): [string, number][] {
  const mine = [...s.cells.values()].filter(({ method }) => method === name);
  const taken = mine.flatMap(({ seconds }) => seconds ?? []);
  if (taken.length > 0) return [[name, taken.reduce((a, b) => a + b, 0) / taken.length]];
  const { spent = 0, secondsLeft } = (s.current?.method === name && s.step) || {};
  return secondsLeft !== undefined && spent < 1 ? [[name, secondsLeft / (1 - spent)]] : [];
}

function methodLine(name: string, width: number, s: State, style: Style): string {
  const marks = s.grid!.repetitions.map((_, r) => {
    const cell = s.cells.get(`${name} ${r}`);
    if (!cell) return style.dim('·');
    if (cell.state === 'running') return style.cyan('▶');
    if (cell.state === 'failed') return style.red('✗');
    return cell.state === 'done' ? style.green('✓') : '✓';
  });
  const mine = [...s.cells.values()].filter((cell) => cell.method === name);
  const failure = mine.find(({ error }) => error !== undefined);
  const note = failure ? style.red(`  ${visible(failure.error!)}`) : '';
  return `  ${pad(name, width)}  ${marks.join('')}${note}`;
}

function stepLines(step: StepEvent, s: State, columns: number, style: Style): string[] {
  const left = step.secondsLeft === undefined ? '' : ` · ${formatSeconds(step.secondsLeft)} left`;
  const trend = sparkline(s.rewards, Math.max(8, Math.min(32, columns - 60)));
  const shown =
    step.bestPrompt === '' ? '' : truncate(quote(step.bestPrompt), Math.max(16, columns - 32));
  const best = hasBest(step)
    ? `  ${style.dim('best')} ${formatNumber(step.bestReward)} ${shown}`
    : '';
  return [
    `  ${style.bold(placeOf(s.current!))}  ${style.cyan(bar(step.spent ?? 0, 16))} step ${formatCount(step.step)} · ${formatCount(step.evaluations)} evaluations${left}`,
    `  reward ${pad(formatNumber(step.reward), 7)} ${style.green(trend)}${best}`,
  ];
}

function placeOf({ method, seed, split }: Pick<CellEvent, 'method' | 'seed' | 'split'>): string {
  return `${method}, ${split === undefined ? '' : `split ${visible(split)}, `}seed ${seed}`;
}

function cellSentence(cell: CellEvent, left: string): string {
  const { state, done, total, error } = cell;
  const place = placeOf(cell);
  if (state === 'running') return `${place}: begins (${done} of ${total} cells done)`;
  if (state === 'failed') return `${place}: failed: ${visible(error ?? '')}`;
  const what = state === 'untested' ? 'searched' : 'done';
  const time = cell.seconds === undefined ? '' : ` in ${formatSeconds(cell.seconds)}`;
  return `${place}: ${what}${time}, ${done} of ${total} cells${left}`;
}

function stepSentence(cell: CellEvent, step: StepEvent): string {
  return `${placeOf(cell)}: step ${formatCount(step.step)}, reward ${formatNumber(step.reward)}${bestWords(step)}`;
}

/** The tables at the end, the verdict, and where the report lies. */
export function comparisonLines(
  { id, plan, cells }: Compared,
  { analysis, result }: { analysis: Analysis; result: CompareResult },
  look: { style: Style; width: number },
): string[] {
  const { style } = look;
  const costs = analysis.rows.some(({ test, usd }) => test && usd !== 0);
  const table = renderTable(
    [
      { title: 'method' },
      { title: 'sealed test, 95% interval', align: 'right' },
      { title: 'validation', align: 'right' },
      { title: 'evaluations', align: 'right' },
      { title: 'time', align: 'right' },
      ...(costs ? [{ title: 'cost', align: 'right' } as const] : []),
      { title: 'runs', align: 'right' },
      { title: 'finds', canShrink: true },
    ],
    analysis.rows.map((row) => {
      const { test, validation, evaluations, time, money } = rowWords(row, '');
      const spent = costs ? [money] : [];
      const runs = String(row.seeds.length);
      return [row.method, test, validation, evaluations, time, ...spent, runs, row.kindOfResult];
    }),
    look,
  );
  const pairs = renderTable(
    [
      { title: 'difference' },
      { title: 'points, 95% interval', align: 'right' },
      { title: 'adjusted p', align: 'right' },
      { title: '', canShrink: true },
    ],
    analysis.pairs.map((each) => {
      const { pair, points, pAdjusted, judgement } = pairWords(each, '');
      return [pair, points, pAdjusted, judgement];
    }),
    look,
  );
  const failed = cells.filter(({ state }) => state === 'failed');
  return [
    ...table,
    '',
    ...(analysis.pairs.length > 0 ? [...pairs, ''] : []),
    ...failed.map(({ method, repetition, error }) => {
      const place = placeOf({ method, ...plan.repetitions[repetition]! });
      return `${style.red('failed')} ${place}: ${visible(error ?? '')}`;
    }),
    ...analysis.verdict.map((line, i) => (i === 0 ? style.bold(line) : line)),
    '',
    `${style.dim('comparison')}  ${id}`,
    `${style.dim('report')}      ${result.report.html}`,
    `            ${result.report.markdown}`,
  ];
}
