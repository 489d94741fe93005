/**
 * What a command found as JUnit's XML, which every CI system shows. An evaluation: a suite for the
 * split, a case for each threshold, and a case for each example, failed where its answer is wrong; wrong
 * ones come first, and beyond a number of cases the rest is left out, which the suite says. A run or a
 * comparison: a suite for each method, with a case for each threshold and for each search.
 *
 * Inputs and answers stand in it: whoever reads the CI's pages reads them.
 * Source: the schema of Jenkins' xUnit plugin (junit-10.xsd), of which the common part is used.
 */
import { formatScore, formatShare } from '../../util/format.ts';
import type { Compared } from '../compare.ts';
import { accuracyOf } from '../compare-analysis.ts';
import type { CompareRow } from '../compare-events.ts';
import type { StoredCell } from '../comparison-table.ts';
import type { JudgedExample } from '../evaluate.ts';
import type { EvaluateResult, OptimizeResult } from '../events.ts';
import { RIGHT } from '../measure.ts';
import type { ThresholdVerdict } from '../threshold.ts';
import { html, shown } from './escape.ts';

/** A suite of cases, of one split or one method. */
export interface Suite {
  readonly name: string;
  readonly seconds: number;
  /** When it began. */
  readonly started: Date;
  readonly properties: Readonly<Record<string, string>>;
  readonly cases: readonly Case[];
  readonly note?: string;
}

interface Case {
  readonly name: string;
  readonly seconds?: number;
  readonly problem?: {
    /** `error`: there is nothing to judge. */
    readonly tag: 'failure' | 'error';
    readonly type: string;
    readonly message: string;
    readonly text?: string;
  };
}

interface Timed {
  readonly seconds: number;
  readonly started: Date;
}

/** More would be shown by no CI system, and read by nobody. */
const MOST_CASES = 1000;
/** Characters of an input in a case's name. */
const NAME = 80;

export function junitXml(suites: readonly Suite[]): string {
  const cases = suites.flatMap((suite) => suite.cases);
  const seconds = suites.reduce((sum, suite) => sum + suite.seconds, 0);
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="whetstone" ${counts(cases, seconds)}>`,
    ...suites.flatMap(suiteLines),
    '</testsuites>',
    '',
  ].join('\n');
}

function suiteLines({ name, seconds, started, properties, cases, note }: Suite): string[] {
  return [
    `<testsuite name="${text(name)}" ${counts(cases, seconds)} skipped="0" timestamp="${started.toISOString().slice(0, 19)}">`,
    '<properties>',
    ...Object.entries(properties).map(
      ([key, value]) => `<property name="${text(key)}" value="${text(value)}"/>`,
    ),
    '</properties>',
    ...cases.map((one) => caseLine(name, one)),
    ...(note === undefined ? [] : [`<system-out>${text(note)}</system-out>`]),
    '</testsuite>',
  ];
}

function counts(cases: readonly Case[], seconds: number): string {
  const of = (tag: string) => cases.filter(({ problem }) => problem?.tag === tag).length;
  return `tests="${cases.length}" failures="${of('failure')}" errors="${of('error')}" time="${seconds.toFixed(3)}"`;
}

function caseLine(suite: string, { name, seconds = 0, problem }: Case): string {
  const head = `<testcase classname="${text(suite)}" name="${text(name)}" time="${seconds === 0 ? '0' : seconds.toFixed(3)}"`;
  if (!problem) return `${head}/>`;
  const { tag, type, message } = problem;
  const attributes = `type="${type}" message="${text(message)}"`;
  const inside = problem.text === undefined ? '/>' : `>${text(problem.text)}</${tag}>`;
  return `${head}><${tag} ${attributes}${inside}</testcase>`;
}

/** What XML may hold: what does not show stands by its name, so that no character is forbidden. */
function text(value: string): string {
  return html(shown(value));
}

/** An evaluation, with what each example came to. */
export function evaluationSuite(
  {
    task,
    result,
    answers,
    thresholds,
  }: {
    readonly task: string;
    readonly result: EvaluateResult;
    readonly answers: readonly JudgedExample[];
    readonly thresholds: readonly ThresholdVerdict[];
  },
  timed: Timed,
): Suite {
  const isWrong = (one: JudgedExample) => one.score === undefined || faultOf(one) !== undefined;
  const ordered = [...answers.filter(isWrong), ...answers.filter((one) => !isWrong(one))];
  const kept = ordered.slice(0, MOST_CASES);
  const left = answers.length - kept.length;
  return {
    ...timed,
    name: `${task}.${result.split}`,
    properties: {
      prompt: result.prompt,
      score: formatScore(result),
      examples: String(answers.length),
      metric: result.metric ?? 'accuracy',
      ...(left > 0 ? { 'examples left out': String(left) } : {}),
    },
    cases: [...thresholds.map(thresholdCase), ...kept.map(exampleCase)],
    ...(left > 0
      ? {
          note: `${left} of ${answers.length} examples are left out of this file, right ones first.`,
        }
      : {}),
  };
}

/** A run: what its method found, by its test score. */
export function runSuite(
  task: string,
  result: OptimizeResult,
  thresholds: readonly ThresholdVerdict[],
  started: Date,
): Suite {
  const { method, seconds } = result;
  return {
    name: `${task}.${method}`,
    seconds,
    started,
    properties: {
      run: result.runId,
      prompt: result.prompt,
      validation: formatScore(result.validation),
      test: formatScore(result.test),
      metric: result.metric ?? 'accuracy',
    },
    cases: [{ name: `search of ${method}`, seconds }, ...thresholds.map(thresholdCase)],
  };
}

/** A comparison: a suite a method, a case a repetition. `verdicts` are those of each method. */
export function comparisonSuites(
  { plan, cells, about }: Pick<Compared, 'plan' | 'cells' | 'about'>,
  rows: readonly CompareRow[],
  verdicts: (row: CompareRow) => readonly ThresholdVerdict[],
  started: Date,
): Suite[] {
  const where = (repetition: number) => {
    const { seed, split } = plan.repetitions[repetition]!;
    return split === undefined ? `seed ${seed}` : `seed ${seed}, split ${split}`;
  };
  return rows.map((row) => {
    const own = cells.filter(({ method }) => method === row.method);
    const cases = own.map((cell) => cellCase(cell, where(cell.repetition)));
    const { test } = row;
    return {
      name: `${about.task}.${row.method}`,
      started,
      seconds: cases.reduce((sum, { seconds = 0 }) => sum + seconds, 0),
      properties: {
        ...(test ? { test: formatScore({ score: test.mean, interval: test.interval }) } : {}),
        metric: about.metric ?? 'accuracy',
      },
      cases: [...cases, ...verdicts(row).map(thresholdCase)],
    };
  });
}

function cellCase(cell: StoredCell, where: string): Case {
  const seconds = cell.outcome?.found.seconds ?? 0;
  if (cell.state === 'done') {
    return { name: `search with ${where}: test ${formatShare(accuracyOf(cell))}`, seconds };
  }
  const message = cell.error ?? 'it did not come to an end';
  return { name: `search with ${where}`, seconds, problem: { tag: 'error', type: 'no-result', message } }; // biome-ignore format: one value
}

function thresholdCase({ sentence, isReached, what, least }: ThresholdVerdict): Case {
  const name = `${what} is at least ${formatShare(least)}`;
  if (isReached) return { name };
  return { name, problem: { tag: 'failure', type: 'threshold', message: sentence } };
}

function exampleCase(example: JudgedExample): Case {
  const { at, input, answer, gold, score, isWellFormed } = example;
  const name = `example ${at + 1}: ${input.length > NAME ? `${input.slice(0, NAME)}…` : input}`;
  if (score === undefined) {
    const message = 'no answer came that could be judged';
    return { name, problem: { tag: 'error', type: 'no-answer', message } };
  }
  const type = faultOf(example);
  if (type === undefined) return { name };
  const form = isWellFormed === false ? ', which has not the format that is asked for' : '';
  const message = `expected ${gold}, got ${answer ?? 'nothing'}${score > 0 ? `, score ${score.toFixed(3)}` : ''}${form}`;
  return { name, problem: { tag: 'failure', type, message, text: input } };
}

/** What is wrong with an answer that has a score: a wrong format is another matter than a wrong answer. */
function faultOf({ score = 1, isWellFormed }: JudgedExample): string | undefined {
  if (score < RIGHT) return 'wrong-answer';
  return isWellFormed === false ? 'wrong-format' : undefined;
}
