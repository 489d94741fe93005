/** Scores one prompt on one split of a configured task, in float32. */
import { perClass } from '../tasks/index.ts';
import type { LoadedConfig } from './config.ts';
import type { EvaluateResult, OnEvent, SplitName } from './events.ts';
import { measure, splitScore } from './measure.ts';
import { Workbench } from './workbench.ts';

export interface EvaluateOptions {
  readonly prompt: string;
  readonly split: SplitName;
  readonly onEvent?: OnEvent | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** @throws ConfigError when the prompt does not fit the task LM's context */
export async function evaluate(
  loaded: LoadedConfig,
  { prompt, split, onEvent, signal }: EvaluateOptions,
): Promise<EvaluateResult> {
  const bench = await Workbench.open(loaded, {
    onProgress: (progress) => onEvent?.({ kind: 'progress', ...progress }),
    signal,
  });
  try {
    const { task } = bench;
    const examples = split === 'test' ? task.test.open() : task[split];
    const environment = bench.environment(examples, 'float32', { once: true });
    const score = await measure(environment, prompt);
    const gold = examples.map(({ label }) => label);
    const classes = perClass(gold, score.predicted, task.classes.length);
    return {
      kind: 'result',
      prompt,
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
