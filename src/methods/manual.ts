/**
 * Prompt engineering: human candidates compared by racing (`racing.ts`). They are typed in, read
 * from a file, or built in for tasks of this kind (`human-prompts.ts`).
 */
import { resolve } from 'node:path';
import { z } from 'zod';
import { checkTask } from '../environment/index.ts';
import { familyNames, humanCandidates } from './human-prompts.ts';
import { type MethodContext, method } from './method.ts';
import { readPromptsFile } from './prompts-file.ts';
import { race, shuffledBlocks } from './racing.ts';

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

export const manual = method({
  name: 'manual',
  summary: 'Human candidates compared by racing: prompt engineering.',
  options,
  async *run(context, given) {
    const { task, taskLm, environment, rng } = context;
    const texts = await candidates(context, given);
    // A prompt too long for any example must not end the run after its race.
    checkTask(
      task,
      taskLm,
      Math.max(...texts.map((text) => environment.layout.prompt(text).length)),
    );
    const blocks = shuffledBlocks(environment, rng);
    const prompts = texts.map((text) => ({ text }));
    let step = 1;
    for await (const { tried } of race(prompts, { ...context, blocks })) {
      yield { step: step++, tried };
    }
  },
});

async function candidates(
  { task, folder = '.' }: MethodContext,
  { prompts = [], promptsFile, families }: z.infer<typeof options>,
): Promise<string[]> {
  const own = [
    ...prompts,
    ...(promptsFile === undefined ? [] : await readPromptsFile(resolve(folder, promptsFile))),
  ];
  const builtIn = families || own.length === 0 ? humanCandidates(task, families) : [];
  return [...new Set([...own, ...builtIn])];
}
