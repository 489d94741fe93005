/**
 * Prompt engineering: human candidates compared by racing (`racing.ts`). They are typed in, read
 * from a file, or built in for tasks of this kind (`human-prompts.ts`).
 */
import { z } from 'zod';
import { EXAMPLES_PER_PASS } from '../environment/index.ts';
import type { AnyTask } from '../tasks/task.ts';
import { familyNames, humanCandidates } from './human-prompts.ts';
import { anyTaskLm, method, type PromptContext } from './method.ts';
import { withPromptsFile } from './prompts-file.ts';
import { firstRound, race, raceEvaluations, shuffledBlocks } from './racing.ts';

const options = z.strictObject({
  name: z.literal('manual').default('manual'),
  prompts: z.array(z.string()).min(1).optional().describe('Candidates'),
  promptsFile: z
    .string()
    .min(1)
    .optional()
    .describe('File of candidates: one a line, JSON Lines, or a YAML list'),
  families: z
    .array(z.enum(familyNames))
    .min(1)
    .optional()
    .describe('Built-in candidates; without other ones, those that fit the label words'),
});

type Options = z.infer<typeof options>;

export const manual = method({
  name: 'manual',
  summary: 'Human candidates compared by racing: prompt engineering.',
  options,
  leastEvaluations(given, task) {
    // What a file holds is known when it is read: one prompt at least.
    const count = candidates(task, given).length || 1;
    return count * firstRound(task.train.length, { blockSize: EXAMPLES_PER_PASS });
  },
  needs: { taskLm: anyTaskLm },
  expectedEvaluations: ({ prompts = [] }, { trainExamples, humanPrompts }) =>
    raceEvaluations(prompts.length || humanPrompts, trainExamples),
  check: withPromptsFile,
  async *run(context: PromptContext, given) {
    const { task, environment, rng, folder = '.' } = context;
    const texts = candidates(task, await withPromptsFile(given, { folder }));
    // A prompt too long for any example must not end the run after its race.
    environment.checkRoom(texts);
    const blocks = shuffledBlocks(environment, rng);
    const prompts = texts.map((text) => ({ text }));
    let step = 1;
    for await (const { tried } of race(prompts, { ...context, blocks })) {
      yield { step: step++, tried };
    }
  },
});

function candidates(task: AnyTask, { prompts = [], promptsFile, families }: Options): string[] {
  const isOwn = prompts.length > 0 || promptsFile !== undefined;
  const builtIn = families || !isOwn ? humanCandidates(task, families) : [];
  return [...new Set([...prompts, ...builtIn])];
}
