// A method of one's own: change one word of the best prompt, keep what is better.
import { z } from 'zod';
import { method, promptOf } from '../src/methods/index.ts';
import { actionSpaceOf } from '../src/policy/index.ts';

export const hillClimber = method({
  name: 'hill-climber',
  summary: 'Changes one word of the best prompt and keeps what is better.',
  options: z.strictObject({
    name: z.literal('hill-climber').default('hill-climber'),
    promptTokens: z.int().min(1).max(64).default(5).describe('Tokens of the prompt'),
    batchSize: z.int().min(1).max(256).default(16).describe('Changed prompts a step'),
  }),
  async *run(context, { promptTokens, batchSize }) {
    const { environment, pool, budget, rng } = context;
    const words = actionSpaceOf(environment.taskLm.tokenizer).ids;
    const draw = () => words[rng.integer(words.length)]!;
    let best = { ids: Array.from({ length: promptTokens }, draw), reward: -Infinity };
    for (let step = 1; budget.isOpen; step++) {
      const { ids } = best;
      const changed = Array.from({ length: batchSize }, () =>
        ids.with(rng.integer(promptTokens), draw()),
      );
      const prompts = changed.map((each) => promptOf(context, each));
      const scores = await environment.step(prompts);
      const tried = prompts.map((prompt, i) => ({ prompt, score: scores[i]! }));
      for (const [i, { prompt, score }] of tried.entries()) {
        pool.add(prompt, score);
        if (score.reward > best.reward) best = { ids: changed[i]!, reward: score.reward };
      }
      yield { step, tried };
    }
  },
});
