/**
 * A policy that writes a prompt for each context, as a result: its adapter on disk with what it reads,
 * the prompts that it writes, and their score on examples. It writes the likeliest prompt; examples
 * whose contexts are the same share one.
 */
import { dirname, join } from 'node:path';
import { joined, type PromptScore, type ScorePart } from '../environment/index.ts';
import type { LanguageModel } from '../models/language-model.ts';
import { ownParts, PromptWriter, type WrittenPrompt } from '../policy/index.ts';
import type { AnyExample } from '../tasks/task.ts';
import { writeFileAtomic } from '../util/atomic-file.ts';
import { onDisk } from '../util/disk.ts';
import { createRng } from '../util/rng.ts';
import { byContext, type SharedContext } from './contexts.ts';
import { type LoraAdapter, readLora, saveLora } from './lora-file.ts';
import type { WriterHost } from './method.ts';
import type { TensorSolution } from './solution.ts';
import { type OwnContext, RECIPE_FILE, readRecipe, type WriterRecipe } from './writer-recipe.ts';

/** The likeliest prompt for each context. */
export async function writePrompts(
  writer: PromptWriter,
  recipe: WriterRecipe,
  given: readonly OwnContext[],
): Promise<WrittenPrompt[]> {
  const contexts = byContext(recipe, given);
  const written = await likeliest(writer, contexts);
  const out: WrittenPrompt[] = [];
  contexts.forEach(({ examples }, c) => {
    for (const e of examples) out[e] = written[c]!;
  });
  return out;
}

/** The likeliest prompt for each of different contexts. */
export async function likeliest(
  writer: PromptWriter,
  contexts: readonly SharedContext[],
): Promise<WrittenPrompt[]> {
  const readings = contexts.map(({ messages }) => writer.reading(messages));
  const sampling = { each: 1, rng: createRng('likeliest'), temperature: 0 };
  return (await writer.write(readings, sampling)).map(([prompt]) => prompt!);
}

/** The score of examples, each with the prompt that is written for it. */
export async function scoreWritten(
  host: WriterHost,
  { writer, recipe }: OpenPolicy,
  examples: readonly AnyExample[],
): Promise<PromptScore> {
  const prompts = (await writePrompts(writer, recipe, examples)).map(({ text }) => text);
  const parts: ScorePart[] = [];
  for (const prompt of new Set(prompts)) {
    const places = prompts.flatMap((other, e) => (other === prompt ? [e] : []));
    const scorer = host.scorer(places.map((e) => examples[e]!));
    const [score] = await scorer.evaluate([prompt]);
    await scorer.close();
    parts.push({ score: score!, places });
  }
  return joined(parts);
}

export interface OpenPolicy {
  readonly writer: PromptWriter;
  readonly recipe: WriterRecipe;
}

/** The policy as a result of a run; what opened it closes it. */
export function policySolution(host: WriterHost, policy: OpenPolicy): TensorSolution {
  const own = ownParts(policy.recipe.reads);
  return {
    kind: 'policy',
    summary: `a policy that reads the ${own.join(' and the ')} and writes a prompt for it`,
    evaluate: (examples) => scoreWritten(host, policy, examples),
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
  const path = join(folder, RECIPE_FILE);
  await onDisk(path, () => writeFileAtomic(path, `${JSON.stringify(recipe, null, 2)}\n`));
  return [...files, path];
}

/**
 * Opens what `savePolicy` saved, by the adapter's path.
 * @throws WeightsError when it was made for another model, or is damaged
 */
export async function openPolicy(adapterPath: string, lm: LanguageModel): Promise<OpenPolicy> {
  const path = join(dirname(adapterPath), '..', RECIPE_FILE);
  const { parameters, rank, alpha, layers } = await readLora(adapterPath, lm);
  const recipe = await readRecipe(path);
  const { promptTokens, precision } = recipe;
  const own = { lora: { rank, alpha, layers }, promptTokens, precision };
  const writer = await PromptWriter.open(lm, { ...own, rng: createRng('opened') });
  writer.parameters = parameters;
  return { writer, recipe };
}
