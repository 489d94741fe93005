/**
 * Random prompts: the floor that every other method must beat. Each prompt is a sequence of whole
 * words drawn uniformly from the action space.
 */
import { z } from 'zod';
import { actionSpaceOf } from '../policy/action-space.ts';
import { method } from './method.ts';
import { examplesPerStep, minibatch, promptOf, stepEvaluations } from './policy-loop.ts';

const options = z.strictObject({
  name: z.literal('random').default('random'),
  promptTokens: z.int().min(1).max(64).default(5).describe('Tokens of the prompt'),
  batchSize: z.int().min(1).max(256).default(16).describe('Prompts drawn a step'),
  examplesPerStep,
});

export const random = method({
  name: 'random',
  summary: 'Prompts of random words: the floor.',
  options,
  leastEvaluations: stepEvaluations,
  async *run(context, { promptTokens, batchSize, ...o }) {
    const { ids } = actionSpaceOf(context.environment.taskLm.tokenizer);
    for (let step = 1; context.budget.isOpen; step++) {
      const prompts = Array.from({ length: batchSize }, () =>
        promptOf(
          context,
          Array.from({ length: promptTokens }, () => ids[context.rng.integer(ids.length)]!),
        ),
      );
      const scores = await context.environment.step(prompts, minibatch(context, o.examplesPerStep));
      prompts.forEach((prompt, i) => {
        context.pool.add(prompt, scores[i]!);
      });
      yield { step, tried: prompts.map((prompt, i) => ({ prompt, score: scores[i]! })) };
    }
  },
});
