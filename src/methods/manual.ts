/**
 * Prompt engineering: human candidates compared by racing. Every candidate is scored on a few blocks
 * of examples, the better half goes on to more, until the rest is scored on all (successive
 * halving, arXiv 1502.07943).
 */
import { z } from 'zod';
import type { Prompt, PromptScore } from '../environment/index.ts';
import { method } from './method.ts';

/** Prompts that people write for tasks of this kind, after the input or before it. */
export const humanCandidates: readonly string[] = [
  'It was',
  'Sentiment:',
  'The sentiment is',
  'Overall, the sentiment is',
  'The review is',
  'This review is',
  'The opinion is',
  'The feedback is',
  'The tone is',
  'The mood of this text is',
  'Overall it was',
  'In summary, it was',
  'All in all, it is',
  'Positive or negative?',
  'Is this positive or negative? Answer:',
  'Classify the sentiment:',
  'Answer:',
  'Label:',
  'Verdict:',
  'Rating:',
  'The customer feels',
  'The author thinks it is',
  'I would say this is',
  'In one word:',
];

const options = z.strictObject({
  name: z.literal('manual').default('manual'),
  prompts: z
    .array(z.string())
    .min(1)
    .default([...humanCandidates])
    .describe('Candidates'),
});

export const manual = method({
  name: 'manual',
  summary: 'Human candidates compared by racing: prompt engineering.',
  options,
  async *run(context, { prompts }) {
    const { environment, rng, pool, budget } = context;
    const blocks = rng.shuffle(Array.from({ length: environment.blockCount }, (_, i) => i));
    let alive = [...new Set(prompts)].map((text) => ({ text }));
    let width = Math.min(2, blocks.length);
    let tried: { prompt: Prompt; score: PromptScore }[] = [];
    try {
      for (let step = 1; budget.isOpen; step++) {
        const scores = await environment.step(alive, { blocks: blocks.slice(0, width) });
        tried = alive.map((prompt, i) => ({ prompt, score: scores[i]! }));
        tried.sort((a, b) => b.score.reward - a.score.reward);
        yield { step, tried };
        if (width === blocks.length) return;
        const half = Math.max(4, Math.ceil(tried.length / 2));
        alive = tried.slice(0, half).map(({ prompt }) => prompt);
        width = Math.min(blocks.length, width * 2);
      }
    } finally {
      // The last round alone, whether or not it was the whole of it: earlier ones saw fewer examples.
      for (const { prompt, score } of tried) pool.add(prompt, score);
    }
  },
});
