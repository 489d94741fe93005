/**
 * Random prompts: the floor that every other method must beat. Each prompt is a sequence of whole
 * words drawn uniformly from the action space; where the task LM is asked in text, from the words of
 * the task.
 */
import { z } from 'zod';
import type { Prompt } from '../environment/index.ts';
import { actionSpaceOf } from '../policy/action-space.ts';
import { wordsOf } from './genome.ts';
import { anyTaskLm, isOpen, method, type PromptContext } from './method.ts';
import { examplesPerStep, minibatch, promptOf, stepEvaluations } from './policy-loop.ts';

const options = z.strictObject({
  name: z.literal('random').default('random'),
  promptTokens: z
    .int()
    .min(1)
    .max(64)
    .default(5)
    .describe('Tokens of the prompt; words where the task LM is asked in text'),
  batchSize: z.int().min(1).max(256).default(16).describe('Prompts drawn a step'),
  examplesPerStep,
});

export const random = method({
  name: 'random',
  summary: 'Prompts of random words: the floor.',
  options,
  leastEvaluations: stepEvaluations,
  needs: { taskLm: anyTaskLm },
  async *run(context: PromptContext, { promptTokens, batchSize, ...o }) {
    const draw = drawerOf(context);
    for (let step = 1; context.budget.isOpen; step++) {
      const prompts = Array.from({ length: batchSize }, () => draw(promptTokens));
      const scores = await context.environment.step(prompts, minibatch(context, o.examplesPerStep));
      prompts.forEach((prompt, i) => {
        context.pool.add(prompt, scores[i]!);
      });
      yield { step, tried: prompts.map((prompt, i) => ({ prompt, score: scores[i]! })) };
    }
  },
});

/** Draws a prompt of so many tokens or, where there are none, words. */
function drawerOf(context: PromptContext): (length: number) => Prompt {
  const { rng } = context;
  const drawn = <T>(items: readonly T[], length: number) =>
    Array.from({ length }, () => items[rng.integer(items.length)]!);
  if (isOpen(context)) {
    const { ids } = actionSpaceOf(context.taskLm.tokenizer);
    return (length) => promptOf(context, drawn(ids, length));
  }
  const words = wordsOf(context.task);
  return (length) => ({ text: drawn(words, length).join(' ') });
}
