/**
 * A policy that writes a prompt for each context, as a result: its adapter on disk with what it reads,
 * the prompts that it writes, and their score on examples. It writes the likeliest prompt; examples
 * whose contexts are the same share one.
 */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { Environment, type PromptScore, scoreOf, TaskLmPrograms } from '../environment/index.ts';
import { WeightsError } from '../errors.ts';
import type { LanguageModel } from '../models/language-model.ts';
import type { Precision } from '../models/prepared-weights.ts';
import {
  contextParts,
  messagesFor,
  ownParts,
  type PolicyContext,
  PromptWriter,
  type WrittenPrompt,
} from '../policy/index.ts';
import type { Example } from '../tasks/task.ts';
import { writeFileAtomic } from '../util/atomic-file.ts';
import { onDisk } from '../util/disk.ts';
import { createRng } from '../util/rng.ts';
import { type LoraAdapter, readLora, saveLora } from './lora-file.ts';
import type { SolutionContext } from './method.ts';
import type { TensorSolution } from './solution.ts';

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

/** The likeliest prompt for each context. */
export async function writePrompts(
  writer: PromptWriter,
  recipe: WriterRecipe,
  contexts: readonly OwnContext[],
): Promise<WrittenPrompt[]> {
  const keys = contexts.map((own) => JSON.stringify(messagesOf(recipe, own)));
  const unique = [...new Set(keys)];
  const readings = unique.map((key) => writer.reading(JSON.parse(key)));
  const written = await writer.write(readings, {
    each: 1,
    rng: createRng('likeliest'),
    temperature: 0,
  });
  return keys.map((key) => written[unique.indexOf(key)]![0]!);
}

/** The score of examples, each with the prompt that is written for it. */
export async function scoreWritten(
  { task, taskLm, reward }: SolutionContext,
  { writer, recipe }: OpenPolicy,
  examples: readonly Example[],
  precision: Precision = 'float32',
): Promise<PromptScore> {
  const prompts = (await writePrompts(writer, recipe, examples)).map(({ text }) => text);
  const programs = new TaskLmPrograms(taskLm, { precision });
  const C = task.classes.length;
  const scores = new Float32Array(examples.length * C);
  try {
    for (const prompt of new Set(prompts)) {
      const rows = prompts.flatMap((other, e) => (other === prompt ? [e] : []));
      const some = rows.map((e) => examples[e]!);
      const options = { task, taskLm, reward, precision, programs, examples: some };
      const environment = new Environment({ ...options, cacheBytes: 0 });
      const [found] = await environment.evaluate([prompt]);
      await environment.close();
      rows.forEach((e, i) => {
        scores.set(found!.scores.subarray(i * C, (i + 1) * C), e * C);
      });
    }
  } finally {
    await programs.unload();
  }
  return scoreOf(scores, examples, { reward });
}

export interface OpenPolicy {
  readonly writer: PromptWriter;
  readonly recipe: WriterRecipe;
}

/** The policy as a result of a run; what opened it closes it. */
export function policySolution(context: SolutionContext, policy: OpenPolicy): TensorSolution {
  const own = ownParts(policy.recipe.reads);
  return {
    kind: 'policy',
    summary: `a policy that reads the ${own.join(' and the ')} and writes a prompt for it`,
    evaluate: (examples) => scoreWritten(context, policy, examples),
    save: (folder) => savePolicy(folder, policy),
    close: () => policy.writer.close(),
  };
}

/** The adapter in PEFT's layout, and beside it what it reads. */
export async function savePolicy(
  folder: string,
  { writer, recipe }: OpenPolicy,
): Promise<readonly string[]> {
  const { lm, lora, parameters } = writer;
  const adapter: LoraAdapter = {
    ...lora,
    parameters,
    prompt: '',
    template: '',
    model: lm.key,
    modelName: lm.name,
  };
  const files = await saveLora(folder, adapter, lm);
  const path = join(folder, RECIPE);
  await onDisk(path, () => writeFileAtomic(path, `${JSON.stringify(recipe, null, 2)}\n`));
  return [...files, path];
}

const RECIPE = 'policy.json';

/**
 * Opens what `savePolicy` saved, by the adapter's path.
 * @throws WeightsError when it was made for another model, or is damaged
 */
export async function openPolicy(adapterPath: string, lm: LanguageModel): Promise<OpenPolicy> {
  const path = join(dirname(adapterPath), '..', RECIPE);
  const { parameters, rank, alpha, layers } = await readLora(adapterPath, lm);
  const recipe = await readRecipe(path);
  const { promptTokens, precision } = recipe;
  const own = { lora: { rank, alpha, layers }, promptTokens, precision };
  const writer = await PromptWriter.open(lm, { ...own, rng: createRng('opened') });
  writer.parameters = parameters;
  return { writer, recipe };
}

async function readRecipe(path: string): Promise<WriterRecipe> {
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
