/**
 * What a group of prompts is written for, and judged on: the task as a whole, on a minibatch of the
 * train split; or one train example, with the conversation or the question that belongs to it.
 */
import type { Prompt, PromptScore } from '../environment/index.ts';
import { ConfigError } from '../errors.ts';
import { drawExamples, ownParts, type PromptWriter } from '../policy/index.ts';
import type { MethodContext } from './method.ts';
import { minibatch } from './policy-loop.ts';
import { messagesOf, type WriterRecipe } from './written-prompts.ts';

export interface Subject {
  /** Ids that the prompts are written after. */
  readonly reading: readonly number[];
  judge(prompts: readonly Prompt[]): Promise<PromptScore[]>;
}

/** Draws so many subjects, all of them anew. */
export type DrawSubjects = (count: number) => Subject[];

/** True where a policy reads what differs from one example to the next. */
export function readsEach({ reads }: Pick<MethodContext, 'reads'>): boolean {
  return ownParts(reads).length > 0;
}

/** The task, with some of its examples drawn anew each time: one prompt for all inputs. */
export function wholeTask(
  context: MethodContext,
  recipe: WriterRecipe,
  { writer, examplesPerStep }: { writer: PromptWriter; examplesPerStep: number },
): DrawSubjects {
  const { task, environment, pool, rng } = context;
  return (count) => {
    const batch = minibatch(context, examplesPerStep);
    const judge = async (prompts: readonly Prompt[]) => {
      const scores = await environment.step(prompts, batch);
      prompts.forEach((prompt, i) => {
        pool.add(prompt, scores[i]!);
      });
      return scores;
    };
    return Array.from({ length: count }, () => {
      const shown = { ...recipe, examples: drawExamples(task, rng) };
      return { reading: writer.reading(messagesOf(shown, {})), judge };
    });
  };
}

/**
 * A train example each: a prompt for this very input.
 * @throws ConfigError when no example has what the policy is to read
 */
export function eachExample(
  context: MethodContext,
  recipe: WriterRecipe,
  writer: PromptWriter,
): DrawSubjects {
  const { task, rng, reads } = context;
  for (const part of ownParts(reads)) {
    if (task.train.every((example) => example[part] === undefined)) {
      throw new ConfigError(
        `policy.context: no train example has a ${part}, name its column as task.${part} or leave it out`,
      );
    }
  }
  // One example a block, so that prompts are scored on theirs alone.
  const environment = context.environmentWith(task.template.source, { examplesPerPass: 1 });
  const blocks = Array.from({ length: environment.blockCount }, (_, block) => block);
  return (count) =>
    rng
      .shuffle(blocks)
      .slice(0, count)
      .map((block) => {
        const [e] = environment.examplesOf(block);
        return {
          reading: writer.reading(messagesOf(recipe, task.train[e!]!)),
          judge: (prompts) => environment.step(prompts, { blocks: [block] }),
        };
      });
}
