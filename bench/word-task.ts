/**
 * The smallest task on which soft Q-learning can be watched: a tiny checkpoint as task LM and policy
 * LM, a few of its words as action space, texts of these words. The LM is random, so is the task.
 */
import { Environment } from '../src/environment/index.ts';
import { Budget, CandidatePool, methods, type StepReport } from '../src/methods/index.ts';
import type { LanguageModel } from '../src/models/language-model.ts';
import { type ActionSpace, Policy } from '../src/policy/index.ts';
import { type Example, parseTemplate, rewards, sealSplit, type Task } from '../src/tasks/index.ts';
import { createRng } from '../src/util/rng.ts';

export interface WordTask {
  readonly lm: LanguageModel;
  readonly actions: ActionSpace;
  readonly environment: Environment;
}

export function wordTask(
  lm: LanguageModel,
  { words, examples }: { words: number; examples: number },
): WordTask {
  const actions = { ids: wordsOf(lm).slice(0, words) };
  const task = taskOf(lm, actions, examples);
  const reward = rewards.piecewise;
  const precision = 'float32';
  const given = { task, taskLm: lm, examples: task.train, reward, precision } as const;
  return { lm, actions, environment: new Environment(given) };
}

/** Soft Q-learning on it, step by step, with no end. */
export function softQ(
  { lm, actions, environment }: WordTask,
  options: object,
  { seed, warn }: { seed: number; warn: (message: string) => void },
): AsyncIterable<StepReport> {
  const rng = createRng(seed);
  const method = methods['soft-q'];
  const context = {
    task: environment.task,
    environment,
    environmentWith: () => environment,
    validation: [],
    taskLm: lm,
    reward: rewards.piecewise,
    signal: undefined,
    propose: () => {},
    rng: rng.fork('sampling'),
    budget: new Budget({}, () => 0),
    pool: new CandidatePool(),
    policyLm: async () => lm,
    scorer: () => environment,
    reads: ['description', 'examples'] as const,
    createPolicy: (o: object) => Policy.create(lm, actions, '', { ...o, rng: rng.fork('policy') }),
    warn,
  };
  return method.run(context, method.options.parse(options));
}

/** Words of the checkpoint's vocabulary, in its order. */
function wordsOf({ tokenizer }: LanguageModel): number[] {
  const ids = Array.from({ length: tokenizer.size }, (_, id) => id).filter((id) =>
    /^\w+$/.test(tokenizer.tokenText(id).trim()),
  );
  return ids.filter((id) => !tokenizer.isSpecial(id));
}

/** Texts of four words, labelled in turn. */
function taskOf({ tokenizer }: LanguageModel, { ids }: ActionSpace, examples: number): Task {
  const words = ids.map((id) => tokenizer.tokenText(id).trim());
  const rng = createRng('examples');
  const train: Example[] = Array.from({ length: examples }, (_, i) => ({
    id: String(i),
    input: Array.from({ length: 4 }, () => words[rng.integer(words.length)]!).join(' '),
    label: i % 2,
  }));
  return {
    kind: 'classification',
    name: 'tiny',
    description: '',
    classes: words.slice(0, 2).map((word, i) => ({ gold: String(i), word })),
    template: parseTemplate('{input} {prompt}'),
    train,
    validation: train,
    test: sealSplit(train),
    hashes: {},
    warnings: [],
  };
}
