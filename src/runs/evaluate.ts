/** Scores one solution on one split of a configured task, in float32. */
import type { PromptScore } from '../environment/index.ts';
import { answerScores } from '../environment/prompt-score.ts';
import { readable } from '../environment/text-environment.ts';
import { ConfigError } from '../errors.ts';
import {
  type Method,
  type MethodName,
  methods,
  type Solution,
  type SolutionContext,
  type TensorSolution,
  titleOf,
} from '../methods/index.ts';
import { type AnyExample, type AnyTask, perClass } from '../tasks/index.ts';
import type { Bench, OpenText } from './bench.ts';
import { scoreSolutions } from './choose.ts';
import type { LoadedConfig } from './config.ts';
import type { ClassScore, EvaluateResult, OnEvent, SplitName } from './events.ts';
import { splitScore } from './measure.ts';
import { openBench } from './open-bench.ts';
import { hostOf } from './search.ts';
import type { StoredRun } from './store.ts';
import { Workbench } from './workbench.ts';

/** What is scored: a text, a file that a method saved, or what a run found. */
export type Subject =
  | { readonly prompt: string }
  | { readonly file: string; readonly method: MethodName }
  | { readonly run: StoredRun };

export interface EvaluateOptions {
  readonly subject: Subject;
  readonly split: SplitName;
  readonly onEvent?: OnEvent | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Opens models that answer in text. @default local ones and the known providers */
  readonly openText?: OpenText;
  /** Told what came for each example. */
  readonly onAnswers?: (task: string, answers: readonly JudgedExample[]) => void;
}

/** What was asked of one example, what came, and how good that is. */
export interface JudgedExample {
  /** Its place in the split. */
  readonly at: number;
  readonly input: string;
  readonly gold: string;
  /** The label word or the text; undefined where none came. */
  readonly answer?: string;
  /** From 0 to 1; undefined where no answer came that could be judged. */
  readonly score?: number;
  /** Where the reward is composed. */
  readonly reward?: number;
  /** Where a format is asked for. */
  readonly isWellFormed?: boolean;
}

/**
 * @throws ConfigError when the prompt does not fit the task LM's context, or the run has no result
 * @throws WeightsError when a file is no solution for this task LM
 */
export async function evaluate(
  loaded: LoadedConfig,
  { subject, split, onEvent, signal, openText, onAnswers }: EvaluateOptions,
): Promise<EvaluateResult> {
  const bench = await openBench(loaded, {
    onProgress: (progress) => onEvent?.({ kind: 'progress', ...progress }),
    onWarning: (message) => onEvent?.({ kind: 'warning', message }),
    signal,
    openText,
  });
  try {
    const { task } = bench;
    const solution = await solutionOf(subject, bench);
    const examples = split === 'test' ? task.test.open() : task[split];
    const [found] = await scoreSolutions(bench, [solution], examples);
    const score = found!;
    onAnswers?.(task.name, judged(task, examples, score));
    return {
      kind: 'result',
      prompt: titleOf(solution),
      split,
      ...splitScore(score),
      perClass: classScores(task, examples, score),
      ...(bench.metricName === undefined ? {} : { metric: bench.metricName }),
      ledger: bench.ledger,
    };
  } finally {
    await bench.close();
  }
}

function judged(
  task: AnyTask,
  examples: readonly AnyExample[],
  score: PromptScore,
): JudgedExample[] {
  const scores = answerScores(score, examples);
  const wordOf = (label: number) =>
    task.kind === 'classification' ? task.classes[label]!.word : String(label);
  const places = new Map(score.examples.map((e, i) => [e, i]));
  return examples.map((example, at): JudgedExample => {
    const gold = 'golds' in example ? example.golds[0]! : wordOf(example.label);
    const input = 'golds' in example ? readable(example) : example.input;
    const i = places.get(at);
    if (i === undefined) return { at, input, gold };
    const answer = score.text ? score.text.outputs[i]! : wordOf(score.predicted[i]!);
    return { at, input, gold, answer, score: scores[i]!, ...composedOf(score, i) };
  });
}

function composedOf({ parts }: PromptScore, i: number) {
  if (!parts) return {};
  const { reward, isWellFormed } = parts[i]!;
  return { reward, ...(isWellFormed === undefined ? {} : { isWellFormed }) };
}

/** Each label's recall; nothing where answers are free text. */
function classScores(
  task: AnyTask,
  examples: readonly AnyExample[],
  score: PromptScore,
): ClassScore[] {
  if (task.kind === 'classification') {
    const gold = examples.map(({ label }) => label!);
    const classes = perClass(gold, score.predicted, task.classes.length);
    return task.classes.map(({ gold: name, word }, c) => ({
      gold: name,
      word,
      examples: classes[c]!.support,
      recall: classes[c]!.recall,
    }));
  }
  return (task.labelWords ?? []).map((word, label) => {
    const own = score.text!.scores.filter((_, i) => examples[score.examples[i]!]!.label === label);
    const recall = own.reduce((a, b) => a + b, 0) / Math.max(1, own.length);
    return { gold: word, word, examples: own.length, recall };
  });
}

/** What a subject names, ready to be scored. */
export async function solutionOf(subject: Subject, bench: Bench): Promise<Solution> {
  if ('prompt' in subject) return { kind: 'text', text: subject.prompt };
  if ('file' in subject) return openFile(subject.file, subject.method, bench);
  const { id, method, result } = subject.run;
  if (!result) {
    throw new ConfigError(`run ${id}: it has found nothing yet, give a run that is done`);
  }
  if (result.kindOfResult === 'text') {
    return { kind: 'text', text: result.prompt, template: result.template };
  }
  return openFile(result.files![0]!, method, bench);
}

/** The tensor of a file that a method saved. @throws ConfigError where the bench cannot use it */
export async function openFile(path: string, name: string, bench: Bench): Promise<TensorSolution> {
  const method: Method | undefined = methods[name as MethodName];
  if (!method?.open) throw new ConfigError(`${path}: the method ${name} saves no files`);
  if (bench instanceof Workbench) return method.open(path, bench.solutionContext);
  if (bench.policyLm && method.needs?.taskLm?.includes('text')) {
    // What it saved is a policy: it reads nothing of the task LM.
    return method.open(path, hostOf(bench) as SolutionContext);
  }
  throw new ConfigError(
    `${path}: is a tensor, which ${bench.taskLm.name} cannot use where it is asked in text`,
  );
}
