/** What a policy that writes in words was trained on, and so what it must be given; a file beside its adapter. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { WeightsError } from '../errors.ts';
import { contextParts, messagesFor, type PolicyContext } from '../policy/index.ts';

export const RECIPE_FILE = 'policy.json';

const recipeSchema = z.strictObject({
  reads: z.array(z.enum(contextParts)),
  promptTokens: z.int().min(1),
  description: z.string(),
  examples: z.array(z.strictObject({ input: z.string(), answer: z.string() })),
  /** Of the policy LM while it writes: another one may find another word the likeliest. */
  precision: z.enum(['float32', 'int8-blocks']),
});

/** What a policy was trained on, and so what it must be given. */
export type WriterRecipe = Readonly<z.infer<typeof recipeSchema>>;

/** What differs from one prompt to the next. */
export type OwnContext = Pick<PolicyContext, 'conversation' | 'question'>;

/** What the policy is asked where it has this context. */
export function messagesOf(recipe: WriterRecipe, own: OwnContext) {
  const { reads: parts, promptTokens, description, examples } = recipe;
  const context = { description, examples, ...own };
  return messagesFor(context, { parts, words: Math.ceil(promptTokens / 2) });
}

/** @throws WeightsError when the file is not what a run saved */
export async function readRecipe(path: string): Promise<WriterRecipe> {
  let problem: string;
  try {
    const parsed = recipeSchema.safeParse(JSON.parse(await readFile(path, 'utf8')));
    if (parsed.success) return parsed.data;
    const { path: place, message } = parsed.error.issues[0]!;
    problem = `${place.join('.')}: ${message}`;
  } catch (error) {
    problem = (error as Error).message;
  }
  throw new WeightsError(`${path}: expected what a policy reads, as its run saved it (${problem})`);
}
