/** Scores one solution on one split of a configured task, in float32. */
import { ConfigError } from '../errors.ts';
import { type Method, type MethodName, methods, type Solution, titleOf } from '../methods/index.ts';
import { perClass } from '../tasks/index.ts';
import { scoreSolutions } from './choose.ts';
import type { LoadedConfig } from './config.ts';
import type { EvaluateResult, OnEvent, SplitName } from './events.ts';
import { splitScore } from './measure.ts';
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
}

/**
 * @throws ConfigError when the prompt does not fit the task LM's context, or the run has no result
 * @throws WeightsError when a file is no solution for this task LM
 */
export async function evaluate(
  loaded: LoadedConfig,
  { subject, split, onEvent, signal }: EvaluateOptions,
): Promise<EvaluateResult> {
  const bench = await Workbench.open(loaded, {
    onProgress: (progress) => onEvent?.({ kind: 'progress', ...progress }),
    signal,
  });
  try {
    const { task } = bench;
    const solution = await solutionOf(subject, bench);
    const examples = split === 'test' ? task.test.open() : task[split];
    const [found] = await scoreSolutions(bench, [solution], examples);
    const score = found!;
    const gold = examples.map(({ label }) => label);
    const classes = perClass(gold, score.predicted, task.classes.length);
    return {
      kind: 'result',
      prompt: titleOf(solution),
      split,
      ...splitScore(score),
      perClass: task.classes.map(({ gold: name, word }, c) => ({
        gold: name,
        word,
        examples: classes[c]!.support,
        recall: classes[c]!.recall,
      })),
    };
  } finally {
    await bench.close();
  }
}

async function solutionOf(subject: Subject, bench: Workbench): Promise<Solution> {
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

async function openFile(path: string, name: string, bench: Workbench): Promise<Solution> {
  const method: Method | undefined = methods[name as MethodName];
  if (!method?.open) throw new ConfigError(`${path}: the method ${name} saves no files`);
  return method.open(path, bench.solutionContext);
}
