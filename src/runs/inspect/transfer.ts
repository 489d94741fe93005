/** The same prompts under other task LMs: one model after the other, each on the same examples. */
import { Environment } from '../../environment/index.ts';
import { isAbort } from '../../errors.ts';
import type { LanguageModel } from '../../models/index.ts';
import { type Example, loadTask, type Task } from '../../tasks/index.ts';
import type { OnProgress } from '../../util/progress.ts';
import type { LoadedConfig } from '../config.ts';
import type { SplitScore } from '../events.ts';
import { splitScore } from '../measure.ts';
import { openModel } from '../open-model.ts';
import { labelReward } from '../reward.ts';
import type { Workbench } from '../workbench.ts';

export interface TransferOptions {
  readonly loaded: LoadedConfig;
  readonly examples: readonly Example[];
  readonly onProgress: OnProgress;
  readonly signal?: AbortSignal | undefined;
}

export type TransferScores =
  | { readonly model: string; readonly scores: readonly SplitScore[]; readonly evaluations: number }
  | { readonly model: string; readonly cause: string };

/** Scores of texts under a model in float32, or why there are none. */
export async function transferTo(
  name: string,
  texts: readonly string[],
  { bench, ...options }: TransferOptions & { bench: Workbench },
): Promise<TransferScores> {
  let lm: LanguageModel | undefined;
  try {
    const { engine } = bench.taskLm;
    lm = await openModel(name, { engine, onProgress: options.onProgress, signal: options.signal });
    return { model: name, ...(await scoresUnder(lm, texts, { bench, ...options })) };
  } catch (error) {
    if (isAbort(error)) throw error;
    // One model that does not open or fit takes nothing from the others.
    return { model: name, cause: error instanceof Error ? error.message : String(error) };
  } finally {
    await lm?.close();
  }
}

async function scoresUnder(
  lm: LanguageModel,
  texts: readonly string[],
  { bench, loaded, examples, onProgress }: TransferOptions & { bench: Workbench },
): Promise<{ scores: SplitScore[]; evaluations: number }> {
  const environment = new Environment({
    task: await taskFor(lm, bench, loaded),
    taskLm: lm,
    examples,
    reward: labelReward(loaded.config),
    precision: 'float32',
    cacheBytes: 0,
    examplesPerPass: 16,
    prepack: false,
  });
  try {
    onProgress({
      phase: `scoring under ${lm.name}`,
      done: 0,
      total: texts.length,
      unit: 'prompts',
    });
    const scores = (await environment.evaluate(texts)).map(splitScore);
    return { scores, evaluations: environment.evaluations };
  } finally {
    await environment.close();
  }
}

/** The task with the template that the kind of LM needs. */
async function taskFor(lm: LanguageModel, bench: Workbench, loaded: LoadedConfig): Promise<Task> {
  if (lm.config.kind === bench.taskLm.config.kind) return bench.task;
  const { config, folder } = loaded;
  return loadTask(config.task, {
    baseFolder: folder,
    seed: config.seed,
    ...(lm.config.kind === 'masked' ? { taskLm: 'masked' } : {}),
  });
}
