/**
 * The prompt card: all that somebody should know before using a prompt that they did not find
 * themselves. Content as plain data; `formats/markdown.ts` and `formats/html.ts` draw it. No example
 * of the task's data stands in it, but a prompt may hold some: few-shot prompts are made of them.
 */
import { stringify } from 'yaml';
import type { SplitScore } from '../runs/events.ts';
import { isRemote, nameOf } from '../runs/model-reference.ts';
import { KINDS } from '../runs/report/report.ts';
import { describeBudget } from '../runs/search.ts';
import { formatCount, formatNumber, formatScore, formatSeconds } from '../util/format.ts';
import type { Ancestor, Finding } from './finding.ts';
import { redacted } from './redacted.ts';

export interface Card {
  readonly title: string;
  /** What it is, in plain words. */
  readonly lede: string;
  /** Exact texts; the prompt only where the result is a text. */
  readonly prompt?: string;
  readonly template: string;
  readonly files: readonly { readonly name: string; readonly sha256: string }[];
  /** How it is used, a sentence each. */
  readonly use: readonly string[];
  readonly scores: readonly ScoreLine[];
  readonly scoreNotes: readonly string[];
  readonly facts: readonly FactGroup[];
  readonly limits: readonly string[];
  readonly lineage: readonly Ancestor[];
  /** Commands that do it again. */
  readonly commands: readonly string[];
  /** The effective configuration as YAML. */
  readonly configuration: string;
}

export interface ScoreLine {
  readonly what: string;
  readonly prompt: string;
  readonly isFound: boolean;
  readonly train?: string;
  readonly validation: string;
  readonly test: string;
}

export interface FactGroup {
  readonly title: string;
  readonly facts: readonly (readonly [name: string, value: string])[];
}

/** Rows of a lineage that a card shows: the first ones and the last. */
const MOST_LINEAGE = 40;

export function cardOf(f: Finding): Card {
  const isText = f.kind === 'text';
  return {
    title: `Prompt card: ${f.task.name}`,
    lede: lede(f),
    ...(isText ? { prompt: f.prompt } : {}),
    template: f.template,
    files: f.files.map(({ name, sha256 }) => ({ name, sha256 })),
    use: usage(f),
    scores: scoreLines(f),
    scoreNotes: scoreNotes(f),
    facts: [dataFacts(f), modelFacts(f), methodFacts(f), natureFacts(f), versionFacts(f)],
    limits: limits(f),
    lineage: shortened(f.lineage),
    commands: commands(f),
    configuration: stringify(redacted(f.config), { lineWidth: 0 }).trimEnd(),
  };
}

function lede({ run, kind, task, taskLm, answers }: Finding): string {
  const what = {
    text: 'A text that goes into a template',
    'soft-prompt': 'Virtual tokens that stand before or behind the text',
    weights: 'Changed weights',
    policy: 'A policy that writes a prompt for each input',
  }[kind];
  const answer = answers.labels
    ? `answers with one of ${list(answers.labels.map(({ word }) => `“${word}”`))}`
    : 'answers in its own words';
  const day = run.started.toISOString().slice(0, 10);
  const said = task.description.trim().replace(/[.\s]+$/, '');
  const about = `The task is ${task.name}${said ? `: ${said}` : ''}.`;
  const { seconds, evaluations } = run.result;
  return `${what} so that the model ${taskLm} ${answer}. ${about} It was found by the method ${run.method} on ${day}, in ${formatSeconds(seconds)}, among prompts that were answered on ${formatCount(evaluations)} examples.`;
}

function usage({ kind, answers, taskLm }: Finding): string[] {
  const put = {
    completion: `Put the text that you ask about into {input} and the prompt into {prompt}, let ${taskLm} go on with the text, and take the likeliest of the words below as the answer.`,
    mask: `Put the text that you ask about into {input} and the prompt into {prompt}, and take the likeliest of the words below at the mask of ${taskLm}.`,
    chat: `Put the text that you ask about into {input} and the prompt into {prompt}; lines [system], [user] and [assistant] begin messages, which ${taskLm} answers at temperature 0 with at most ${answers.maxTokens} tokens.`,
  }[answers.asking];
  const labels = answers.labels?.map(({ gold, word }) =>
    gold === word
      ? `The answer “${word}” is the label itself.`
      : `The answer “${word}” stands for the label ${gold}.`,
  );
  const tensor =
    kind === 'text' ? [] : [`This result is ${KINDS[kind].what}, which lies in the files below.`];
  return [...tensor, put, ...(labels && labels.length <= 20 ? labels : [])];
}

function scoreLines({ run: { result, method }, kind }: Finding): ScoreLine[] {
  const rows = result.rows ?? [
    { method, prompt: result.prompt, validation: result.validation, test: result.test },
  ];
  return rows.map((row, i) => {
    const isFound = i === rows.length - 1;
    return {
      what: isFound ? `found by ${row.method}` : row.method,
      prompt: isFound && kind !== 'text' ? result.prompt : row.prompt,
      isFound,
      ...(isFound ? { train: scored(result.train) } : {}),
      validation: scored(row.validation),
      test: scored(row.test),
    };
  });
}

function scored(score: SplitScore): string {
  return `${formatScore(score)} of ${formatCount(score.examples)}`;
}

function scoreNotes({ run: { result }, answers, found }: Finding): string[] {
  const others = (result.rows ?? []).slice(0, -1);
  const [low, high] = found.interval;
  const overlapping = others.filter(
    ({ test }) => test.interval[1] >= low && test.interval[0] <= high,
  );
  const better = others.filter(({ test }) => test.interval[0] > high);
  return [
    `Scores are ${answers.metric} with intervals that hold 95%. The prompt was rewarded on train, chosen on train and validation, and scored on test once, at the end: the test score is the one to believe.`,
    ...(better.length > 0
      ? [`On test ${list(better.map(({ method }) => method))} scored better than what was found.`]
      : overlapping.length > 0
        ? [
            `The intervals of ${list(overlapping.map(({ method }) => method))} overlap with that of what was found: the test examples do not show that it is better.`,
          ]
        : []),
    ...(found.failed
      ? [`${found.failed} test examples got no answer that could be judged and are left out.`]
      : []),
  ];
}

function dataFacts({ task, run, config, answers }: Finding): FactGroup {
  const data =
    typeof config.task.data === 'string' ? [config.task.data] : Object.values(config.task.data);
  const size = {
    train: task.train.length,
    validation: task.validation.length,
    test: task.test.size,
  };
  return {
    title: 'Task and data',
    facts: [
      ['task', task.name],
      ['kind', config.task.kind ?? 'classification'],
      ...(answers.labels
        ? [['labels', list(answers.labels.map(({ gold }) => gold))] as const]
        : []),
      ['files', list(data.filter((path) => path !== undefined))],
      ...Object.entries(size).map(([split, n]) => [`${split} examples`, formatCount(n)] as const),
      ...Object.entries(run.hashes)
        .filter(([name]) => name !== 'taskLm')
        .map(([name, hash]) => [`SHA-256 of ${name}`, hash] as const),
    ],
  };
}

function modelFacts({ config, run, policyLm }: Finding): FactGroup {
  const where = isRemote(config.taskLm)
    ? 'behind an API, which may change without notice'
    : 'on this machine, in float32';
  return {
    title: 'Models',
    facts: [
      ['task LM', `${nameOf(config.taskLm)}, ${where}`],
      ['task LM, key', run.hashes.taskLm ?? 'not recorded'],
      ['policy LM', policyLm],
    ],
  };
}

function methodFacts({ run, methodSummary, config }: Finding): FactGroup {
  const { name: _, ...options } = config.method;
  return {
    title: 'Method',
    facts: [
      ['method', methodSummary ? `${run.method}: ${methodSummary}` : run.method],
      ...Object.entries(redacted(options) as object).map(
        ([name, value]) => [name, plain(value)] as const,
      ),
      ['budget', describeBudget(config)],
      ['seed', String(run.seed)],
      ['reward', plain(config.reward)],
    ],
  };
}

function natureFacts({ run: { result }, kind, prompt }: Finding): FactGroup {
  const row = result.rows?.at(-1);
  const perplexity = result.fluency?.perplexity ?? row?.perplexity;
  const odd = [...prompt.matchAll(/[\p{C}\p{Zl}\p{Zp}]/gu)].length;
  return {
    title: 'Nature',
    facts: [
      ['what it is', KINDS[kind].what],
      ['can it be moved to another model?', KINDS[kind].moves],
      ...(kind === 'text' && result.promptTokens.length > 0
        ? [['tokens', String(result.promptTokens.length)] as const]
        : []),
      ...(kind === 'text'
        ? [
            [
              'characters',
              `${[...prompt].length}${odd > 0 ? `, ${odd} of them do not show` : ''}`,
            ] as const,
          ]
        : []),
      [
        'perplexity under the policy LM',
        perplexity === undefined
          ? 'not measured in this run; "whetstone inspect" measures it'
          : formatNumber(perplexity),
      ],
    ],
  };
}

function versionFacts({ run }: Finding): FactGroup {
  const { parent } = run as { parent?: string };
  return {
    title: 'Record',
    facts: [
      ['run', run.id],
      ...(parent === undefined ? [] : [['goes on from run', parent] as const]),
      ['started', run.started.toISOString()],
      ...(run.ended ? [['ended', run.ended.toISOString()] as const] : []),
      ...Object.entries(run.versions).map(
        ([name, version]) => [`version of ${name}`, version] as const,
      ),
    ],
  };
}

function limits({
  task,
  taskLm,
  kind,
  found,
  run: { result },
  answers,
  config,
}: Finding): string[] {
  const [low, high] = found.interval;
  const train = result.train.score - result.test.score;
  return [
    `It was tried on examples of ${task.name} alone: other texts, languages and times were not tried.`,
    kind === 'text'
      ? `It was tried with ${taskLm} alone: with any other model its score is unknown, and must be measured there.`
      : `It fits ${taskLm} alone.`,
    `With ${formatCount(found.examples)} test examples the score could as well be anything from ${(100 * low).toFixed(1)}% to ${(100 * high).toFixed(1)}%.`,
    'One search with one seed found it; another seed may find another prompt with another score.',
    ...(train > 0.05
      ? [
          `It scores ${(100 * train).toFixed(1)} points less on test than on train: part of what was learnt is about the train examples themselves.`,
        ]
      : []),
    ...(answers.labels
      ? ['It always answers with one of its labels, also for texts to which none of them applies.']
      : ['What it answers is not checked by anything but the metric.']),
    ...(isRemote(config.taskLm)
      ? ['The model is behind an API: it may answer otherwise tomorrow.']
      : []),
    'Whether it can be misled by hostile inputs, and whether it treats groups of people alike, was not tried.',
  ];
}

function commands({ run }: Finding): string[] {
  return [
    'whetstone optimize whetstone.yaml',
    `whetstone evaluate whetstone.yaml --run ${run.id} --split test`,
  ];
}

function shortened(lineage: readonly Ancestor[]): readonly Ancestor[] {
  if (lineage.length <= MOST_LINEAGE) return lineage;
  return [...lineage.slice(0, 10), ...lineage.slice(10 - MOST_LINEAGE)];
}

function plain(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
}

function list(items: readonly string[]): string {
  if (items.length > 12) return `${items.slice(0, 12).join(', ')} and ${items.length - 12} more`;
  return items.length > 1
    ? `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`
    : (items[0] ?? '');
}
