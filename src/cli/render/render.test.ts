import { describe, expect, it } from 'vitest';
import type { CellEvent, CompareEvent } from '../../runs/compare-events.ts';
import type { OptimizeResult, StepEvent } from '../../runs/events.ts';
import { formatBytes, formatScore, formatSeconds } from '../../util/format.ts';
import { bar, sparkline } from './chart.ts';
import { createCompareView } from './compare-view.ts';
import { LiveRegion } from './live-region.ts';
import { createProgressMeter } from './progress-line.ts';
import { createRunView, resultLines } from './run-view.ts';
import { createStyle, fitLine, styledWidth, wantsColour } from './style.ts';
import { renderTable } from './table.ts';

const plain = createStyle(false);
const coloured = createStyle(true);
const SCORE = { score: 0.821, interval: [0.749, 0.88] as const, examples: 120 };
const STEP: StepEvent = {
  kind: 'step',
  step: 118,
  reward: 12.34,
  entropy: 8.1,
  bestPrompt: ' simply\u001b[2Jawful',
  bestReward: 41.2,
  promptsPerSecond: 17.25,
  evaluations: 23140,
  spent: 0.42,
  secondsLeft: 151,
  episode: {
    prompt: 'It was',
    input: '漢字 bad',
    answer: 'negative',
    gold: 'positive',
    reward: -3,
  },
};
const RESULT: OptimizeResult = {
  kind: 'result',
  kindOfResult: 'text',
  method: 'soft-q',
  prompt: 'It was',
  promptTokens: [1],
  train: SCORE,
  validation: SCORE,
  test: SCORE,
  evaluations: 23140,
  seconds: 171,
  runId: '20260101-000000-abcd',
};

describe('numbers', () => {
  it('reads as people write them', () => {
    expect([formatSeconds(42.4), formatSeconds(151), formatSeconds(3900)]).toEqual([
      '42 s',
      '2 m 31 s',
      '1 h 05 m',
    ]);
    expect([formatBytes(12), formatBytes(98_362_432)]).toEqual(['12 bytes', '98.4 MB']);
    expect(formatScore(SCORE)).toBe('82.1% [74.9, 88.0]');
  });
});

describe('charts', () => {
  it('fills a bar and keeps its width', () => {
    expect(bar(0, 4)).toBe('░░░░');
    expect(bar(0.5, 4)).toBe('██░░');
    expect(bar(2, 4)).toBe('████');
    for (let share = 0; share <= 1; share += 0.01) expect([...bar(share, 7)]).toHaveLength(7);
  });
  it('draws a rising line rising, however long', () => {
    expect(sparkline([1, 2, 3], 10)).toBe('▁▅█');
    expect(sparkline([5, 5], 10)).toBe('▄▄');
    expect([...sparkline(Array.from({ length: 1000 }, Math.random), 20)]).toHaveLength(20);
    expect(sparkline([], 10)).toBe('');
  });
});

describe('style', () => {
  it('honours NO_COLOR, TERM and FORCE_COLOR', () => {
    expect(wantsColour({ isTTY: true }, {})).toBe(true);
    expect(wantsColour({ isTTY: true }, { NO_COLOR: '1' })).toBe(false);
    expect(wantsColour({ isTTY: true }, { TERM: 'dumb' })).toBe(false);
    expect(wantsColour({}, { FORCE_COLOR: '1' })).toBe(true);
  });
  it('cuts a coloured line to its columns and closes its colours', () => {
    const line = `${coloured.red('漢字漢字')} and ${coloured.bold('more')}`;
    expect(styledWidth(line)).toBe(17);
    const cut = fitLine(line, 9);
    expect(styledWidth(cut)).toBeLessThanOrEqual(9);
    expect(cut.split('\u001b[31m')).toHaveLength(cut.split('\u001b[39m').length);
    expect(fitLine(line, 17)).toBe(line);
  });
});

describe('table', () => {
  it('aligns, shrinks one column, and shows control characters', () => {
    const lines = renderTable(
      [{ title: 'name' }, { title: 'text', canShrink: true }, { title: 'n', align: 'right' }],
      [
        ['a', `long ${'x'.repeat(50)}`, '7'],
        ['漢字', '\u001b[31m', '123'],
      ],
      { style: plain, width: 30 },
    );
    expect(lines[0]).toBe('name  text                   n');
    expect(lines[1]).toBe('a     long xxxxxxxxxxxxx…    7');
    expect(lines[2]).toBe('漢字  ␛[31m                123');
  });
});

describe('comparison view', () => {
  const cell = (
    method: string,
    state: 'running' | 'untested',
    done: number,
    seconds?: number,
  ): CellEvent => ({
    kind: 'cell',
    method,
    repetition: 0,
    seed: 1,
    state,
    ...(seconds === undefined ? {} : { seconds }),
    done,
    total: 6,
  });
  function viewOf(...events: CompareEvent[]) {
    const view = createCompareView(plain);
    view.onEvent({
      kind: 'comparison',
      comparisonId: 'c',
      task: 'remarks',
      taskLm: 'tiny',
      policyLm: 'tiny',
      methods: ['manual', 'random', 'fine-tune'],
      repetitions: [{ seed: 1 }, { seed: 2 }],
      examples: { train: 8, validation: 8, test: 8 },
      budgetSeconds: 600,
      resumed: 0,
    });
    for (const event of events) view.onEvent(event);
    return view;
  }

  it('takes a method that has not run for as slow as the slowest that has, not for its whole budget', () => {
    const begun = viewOf(cell('manual', 'running', 0), cell('manual', 'untested', 1, 20));
    expect(begun.plain()).toBe(
      'manual, seed 1: searched in 20 s, 1 of 6 cells, about 40 m 20 s left',
    );
    begun.onEvent(cell('random', 'running', 1));
    begun.onEvent(cell('random', 'untested', 2, 60));
    // one of manual, one of random, two of fine-tune, which nothing is known of
    expect(begun.plain()).toContain('about 3 m 20 s left');
  });
  it('judges the cell that runs by what it has spent', () => {
    const view = viewOf(cell('random', 'running', 0));
    view.onEvent({ ...STEP, spent: 0.5, secondsLeft: 50 });
    // half of the cell, the whole of the next, and four of which nothing is known
    expect(view.lines(100).join('\n')).toContain('0 of 6 cells · about 42 m 30 s left');
  });
  it('names no text where what is searched is none', () => {
    const view = viewOf(cell('fine-tune', 'running', 0));
    const { episode: _none, ...step } = STEP;
    view.onEvent({ ...step, bestPrompt: '', bestReward: 200 });
    expect(view.plain()).toBe('fine-tune, seed 1: step 118, reward 12.3, best 200');
  });
});

describe('run view', () => {
  it('shows the loop without obeying what a model wrote', () => {
    const view = createRunView(plain);
    view.onEvent(STEP);
    const text = view.lines(100).join('\n');
    expect(text).toContain('42%  step 118 · 17.3 prompts/s · 23,140 evaluations · 2 m 31 s left');
    expect(text).toContain('" simply␛[2Jawful"');
    expect(text).toContain('✗ negative  gold positive  reward -3.00');
    expect(text).not.toContain('\u001b');
    expect(view.plain()).toMatch(/^step 118: reward 12\.3, entropy 8\.10, best 41\.2 by /);
  });
  it('shows preparation until the first step', () => {
    const view = createRunView(plain);
    view.onEvent({
      kind: 'progress',
      phase: 'downloading m',
      done: 5e6,
      total: 1e7,
      unit: 'bytes',
    });
    expect(view.lines(80)).toEqual([expect.stringMatching(/downloading m .*5\.00 MB of 10\.0 MB/)]);
    expect(view.plain()).toBe('downloading m: 5.00 MB of 10.0 MB');
  });
  it('says what human prompts are chosen by where the best has the smaller validation score', () => {
    const row = { method: 'a human prompt', prompt: 'Sentiment:', validation: SCORE, test: SCORE };
    const options = { style: plain, width: 110, next: [] };
    const shown = (first: number, second: number) => {
      const scored = [first, second].map((score) => ({ ...row, validation: { ...SCORE, score } }));
      return resultLines({ ...RESULT, rows: [...scored, row] }, options).join('\n');
    };
    expect(shown(0.8, 0.7)).toContain('highest mean reward on train and validation');
    expect(shown(0.7, 0.8)).not.toContain('highest mean reward');
  });
  it('ends with one row for each method and the cost', () => {
    const row = { method: 'a human prompt', prompt: 'Sentiment:', validation: SCORE, test: SCORE };
    const rows = [row, { ...row, method: 'soft-q', prompt: 'It was' }];
    const options = { style: plain, width: 110, next: ['whetstone runs show last'] };
    const lines = resultLines({ ...RESULT, rows }, options);
    expect(lines[1]).toMatch(/^a human prompt {2}"Sentiment:" +82\.1% \[74\.9, 88\.0\] /);
    expect(lines[2]).toMatch(/^soft-q/);
    expect(lines.join('\n')).toContain('23,140 evaluations in 2 m 51 s');
    expect(lines.join('\n')).toContain('intervals overlap');
    const worse = { ...row, test: { ...SCORE, interval: [0.4, 0.6] as const } };
    expect(resultLines({ ...RESULT, rows: [worse, rows[1]!] }, options).join('\n')).not.toContain(
      'intervals overlap',
    );
    const better = { ...row, test: { ...SCORE, interval: [0.9, 0.95] as const } };
    expect(resultLines({ ...RESULT, rows: [better, rows[1]!] }, options).join('\n')).toMatch(
      /test examples show that "Sentiment:" is better than what was found/,
    );
  });
});

describe('progress meter', () => {
  it('tells speed and time left from a clock', () => {
    let now = 0;
    const meter = createProgressMeter(() => now);
    meter.update({ phase: 'x', done: 0, total: 100, unit: 'prompts' });
    now = 10_000;
    meter.update({ phase: 'x', done: 50, total: 100, unit: 'prompts', waitingFor: 'rate\nlimit' });
    expect(meter.plain()).toBe('x: 50 of 100 prompts · 5/s · 10 s left · waiting: rate⏎limit');
    now += 990_000;
    expect(meter.plain()).toContain('50 of 100 prompts · 0.05/s');
  });
});

describe('live region', () => {
  const terminal = () => {
    const written: string[] = [];
    const stream = { isTTY: true, columns: 10, rows: 5, write: (t: string) => written.push(t) };
    return { written, stream };
  };
  it('draws over itself, keeps lines within the window, shows the cursor again', () => {
    const { written, stream } = terminal();
    const region = new LiveRegion(stream);
    region.update(() => ['a', 'b', 'c', 'd', 'e', 'f']);
    expect(written.join('')).toBe('\u001b[?25la\nb\nc\nd\n');
    region.print('said');
    expect(written[1]).toBe('\u001b[4A\r\u001b[0Jsaid\n');
    region.close({ keep: false });
    expect(written.at(-1)).toBe('\u001b[?25h');
  });
  it('prints and draws nothing where there is no terminal', () => {
    const { written, stream } = terminal();
    const region = new LiveRegion({ ...stream, isTTY: false });
    region.update(() => ['a']);
    region.print('said');
    region.close();
    expect(written).toEqual(['said\n']);
  });
});
