/**
 * Examples by what a policy reads for them. It writes one prompt for all that have the same context,
 * and that prompt is judged on all of them: their keys and values are kept, a context's together.
 */
import type { Prompt, PromptScore, PromptScorer } from '../environment/index.ts';
import type { ChatMessage } from '../models/chat-template.ts';
import type { AnyExample } from '../tasks/task.ts';
import type { WriterContext } from './method.ts';
import { messagesOf, type OwnContext, type WriterRecipe } from './writer-recipe.ts';

/** A context, and the examples that have it, by index. */
export interface SharedContext {
  readonly messages: readonly ChatMessage[];
  readonly examples: readonly number[];
}

/** The different contexts, in the order in which they first come up. */
export function byContext(recipe: WriterRecipe, all: readonly OwnContext[]): SharedContext[] {
  const found = new Map<string, { messages: readonly ChatMessage[]; examples: number[] }>();
  all.forEach((own, e) => {
    const messages = messagesOf(recipe, own);
    const key = JSON.stringify(messages);
    const shared = found.get(key) ?? { messages, examples: [] };
    found.set(key, shared);
    shared.examples.push(e);
  });
  return [...found.values()];
}

export interface JudgedContext extends SharedContext {
  /** Scores of prompts on this context's examples; on a part of its blocks, where that is asked for. */
  judge(
    prompts: readonly Prompt[],
    part?: (blocks: readonly number[]) => readonly number[],
  ): Promise<PromptScore[]>;
}

/** Contexts of examples, with an environment of their own that counts into the budget. */
export function judgedContexts(
  context: WriterContext,
  recipe: WriterRecipe,
  examples: readonly AnyExample[],
): JudgedContext[] {
  const contexts = byContext(recipe, examples);
  const together = contexts.map((one) => one.examples);
  const environment = context.environmentWith(context.task.template.source, { examples, together });
  const blocks = blocksByExample(environment);
  return contexts.map((one) => {
    const own = [...new Set(one.examples.map((e) => blocks[e]!))];
    return {
      ...one,
      judge: (prompts, part = (all) => all) => environment.step(prompts, { blocks: part(own) }),
    };
  });
}

/** The block of each example. */
function blocksByExample(environment: PromptScorer): number[] {
  const out: number[] = [];
  for (let block = 0; block < environment.blockCount; block++) {
    for (const e of environment.examplesOf(block)) out[e] = block;
  }
  return out;
}
