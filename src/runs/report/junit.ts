/**
 * An evaluation as JUnit's XML, which every CI system shows: a suite for the split, a case for each
 * threshold, and a case for each example, failed where its answer is wrong. Wrong ones come first, and
 * beyond a number of cases the rest is left out, which the suite says.
 *
 * Inputs and answers stand in it: whoever reads the CI's pages reads them.
 * Source: the schema of Jenkins' xUnit plugin (junit-10.xsd), of which the common part is used.
 */
import { formatScore, formatShare } from '../../util/format.ts';
import type { JudgedExample } from '../evaluate.ts';
import type { EvaluateResult } from '../events.ts';
import { RIGHT } from '../measure.ts';
import type { ThresholdVerdict } from '../threshold.ts';
import { html, shown } from './escape.ts';

export interface JUnitParts {
  readonly task: string;
  readonly result: EvaluateResult;
  readonly answers: readonly JudgedExample[];
  readonly thresholds: readonly ThresholdVerdict[];
  readonly seconds: number;
  /** When the evaluation began. */
  readonly started: Date;
}

/** More would be shown by no CI system, and read by nobody. */
const MOST_CASES = 1000;
/** Characters of an input in a case's name. */
const NAME = 80;

export function junitXml({
  task,
  result,
  answers,
  thresholds,
  seconds,
  started,
}: JUnitParts): string {
  const isWrong = (one: JudgedExample) => one.score === undefined || faultOf(one) !== undefined;
  const ordered = [...answers.filter(isWrong), ...answers.filter((one) => !isWrong(one))];
  const kept = ordered.slice(0, MOST_CASES);
  const suite = `${task}.${result.split}`;
  const cases = [
    ...thresholds.map((one) => thresholdCase(suite, one)),
    ...kept.map((one) => exampleCase(suite, one)),
  ];
  const failures =
    thresholds.filter(({ isReached }) => !isReached).length +
    kept.filter((one) => one.score !== undefined && faultOf(one) !== undefined).length;
  const errors = kept.filter(({ score }) => score === undefined).length;
  const counts = `tests="${cases.length}" failures="${failures}" errors="${errors}" time="${seconds.toFixed(3)}"`;
  const left = answers.length - kept.length;
  const properties = {
    prompt: result.prompt,
    score: formatScore(result),
    examples: String(answers.length),
    metric: result.metric ?? 'accuracy',
    ...(left > 0 ? { 'examples left out': String(left) } : {}),
  };
  const note =
    left > 0
      ? [`<system-out>${text(`${left} of ${answers.length} examples are left out of this file, right ones first.`)}</system-out>`] // biome-ignore format: one value
      : [];
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="whetstone" ${counts}>`,
    `<testsuite name="${text(suite)}" ${counts} skipped="0" timestamp="${started.toISOString().slice(0, 19)}">`,
    '<properties>',
    ...Object.entries(properties).map(
      ([name, value]) => `<property name="${text(name)}" value="${text(value)}"/>`,
    ),
    '</properties>',
    ...cases,
    ...note,
    '</testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

function thresholdCase(
  suite: string,
  { sentence, isReached, what, least }: ThresholdVerdict,
): string {
  const name = `${what} is at least ${formatShare(least)}`;
  return testcase(
    suite,
    name,
    isReached ? '' : `<failure type="threshold" message="${text(sentence)}"/>`,
  );
}

function exampleCase(suite: string, example: JudgedExample): string {
  const { at, input, answer, gold, score, isWellFormed } = example;
  const name = `example ${at + 1}: ${input.length > NAME ? `${input.slice(0, NAME)}…` : input}`;
  if (score === undefined) {
    return testcase(suite, name, '<error type="no-answer" message="no answer came that could be judged"/>'); // biome-ignore format: one call
  }
  const fault = faultOf(example);
  if (fault === undefined) return testcase(suite, name, '');
  const form = isWellFormed === false ? ', which has not the format that is asked for' : '';
  const message = `expected ${gold}, got ${answer ?? 'nothing'}${score > 0 ? `, score ${score.toFixed(3)}` : ''}${form}`;
  return testcase(
    suite,
    name,
    `<failure type="${fault}" message="${text(message)}">${text(input)}</failure>`,
  );
}

/** What is wrong with an answer that has a score: a wrong format is another matter than a wrong answer. */
function faultOf({ score = 1, isWellFormed }: JudgedExample): string | undefined {
  if (score < RIGHT) return 'wrong-answer';
  return isWellFormed === false ? 'wrong-format' : undefined;
}

function testcase(suite: string, name: string, content: string): string {
  const head = `<testcase classname="${text(suite)}" name="${text(name)}" time="0"`;
  return content === '' ? `${head}/>` : `${head}>${content}</testcase>`;
}

/** What XML may hold: what does not show stands by its name, so that no character is forbidden. */
function text(value: string): string {
  return html(shown(value));
}
