/**
 * What a group of prompts is written for, and judged on: the task as a whole, on a minibatch of the
 * train split; or one context, a conversation or a question, on the train examples that have it.
 */
import type { Prompt, PromptScore } from '../environment/index.ts';
import { ConfigError } from '../errors.ts';
import { drawExamples, ownParts, type PromptWriter } from '../policy/index.ts';
import type { Rng } from '../util/rng.ts';
import { judgedContexts } from './contexts.ts';
import type { WriterContext } from './method.ts';
import { minibatch } from './policy-loop.ts';
import { messagesOf, type WriterRecipe } from './writer-recipe.ts';

export interface Subject {
  /** Ids that the prompts are written after. */
  readonly reading: readonly number[];
  judge(prompts: readonly Prompt[]): Promise<PromptScore[]>;
}

/** Draws so many items, or all where there are fewer; what remembers its draws can go on from there. */
export type Draw<T> = ((count: number) => T[]) & {
  after?(): DrawState;
  goOn?(state: DrawState): void;
};

export type DrawSubjects = Draw<Subject>;

/** By label: how often it came up, and the items that are left of its deck, by index. */
export type DrawState = readonly {
  readonly label: number;
  readonly seen: number;
  readonly deck: readonly number[];
}[];

export interface DrawOptions {
  readonly writer: PromptWriter;
  /** Most train examples that a prompt is judged on. */
  readonly examplesPerStep: number;
}

/** True where a policy reads what differs from one example to the next. */
export function readsEach({ reads }: Pick<WriterContext, 'reads'>): boolean {
  return ownParts(reads).length > 0;
}

/** The task, with some of its examples drawn anew each time: one prompt for all inputs. */
export function wholeTask(
  context: WriterContext,
  recipe: WriterRecipe,
  { writer, examplesPerStep }: DrawOptions,
): DrawSubjects {
  const { task, environment, pool, rng } = context;
  return (count) => {
    const batch = minibatch(context, examplesPerStep);
    const judge = async (prompts: readonly Prompt[]) => {
      const scores = await environment.step(prompts, batch);
      prompts.forEach((prompt, i) => {
        pool.add(prompt, scores[i]!);
      });
      return scores;
    };
    return Array.from({ length: count }, () => {
      const shown = { ...recipe, examples: drawExamples(task, rng) };
      return { reading: writer.reading(messagesOf(shown, {})), judge };
    });
  };
}

/**
 * The contexts of the train examples: a prompt for this very input. Each label's examples (where there are
 * labels) come up as
 * often as another's, so that no step pulls all of what is written towards one kind of question.
 * @throws ConfigError when no example has what the policy is to read
 */
export function eachContext(
  context: WriterContext,
  recipe: WriterRecipe,
  { writer, examplesPerStep }: DrawOptions,
): DrawSubjects {
  const { task, rng, reads } = context;
  for (const part of ownParts(reads)) {
    if (task.train.every((example) => example[part] === undefined)) {
      throw new ConfigError(
        `policy.context: no train example has a ${part}, name its column as task.${part} or leave it out`,
      );
    }
  }
  const subjects = judgedContexts(context, recipe, task.train).map(
    ({ messages, examples, judge }) => {
      const share = Math.min(1, examplesPerStep / examples.length);
      const part = (blocks: readonly number[]) =>
        share === 1
          ? blocks
          : rng.shuffle(blocks).slice(0, Math.max(1, Math.floor(share * blocks.length)));
      return {
        reading: writer.reading(messages),
        judge: (prompts: readonly Prompt[]) => judge(prompts, part),
        labels: examples.map((e) => task.train[e]!.label ?? 0),
      };
    },
  );
  return balancedDraw(subjects, rng);
}

/**
 * Draws items whose labels have come up least so far. Every label has a deck of the items that have it,
 * dealt in an order of chance and shuffled again when it is empty; no item twice in one draw.
 */
export function balancedDraw<T extends { readonly labels: readonly number[] }>(
  items: readonly T[],
  rng: Rng,
): Draw<T> {
  const labels = [...new Set(items.flatMap((item) => item.labels))];
  const decks = new Map(labels.map((label) => [label, [] as T[]]));
  const seen = new Map(labels.map((label) => [label, 0]));
  const next = (label: number, taken: ReadonlySet<T>): T | undefined => {
    const isFree = (item: T) => !taken.has(item);
    const deck = decks.get(label)!;
    if (!deck.some(isFree)) {
      const fresh = items.filter((item) => isFree(item) && item.labels.includes(label));
      deck.push(...rng.shuffle(fresh));
    }
    const at = deck.findIndex(isFree);
    return at < 0 ? undefined : deck.splice(at, 1)[0];
  };
  const draw = (count: number): T[] => {
    const taken = new Set<T>();
    while (taken.size < Math.min(count, items.length)) {
      const order = rng.shuffle(labels).sort((a, b) => seen.get(a)! - seen.get(b)!);
      const item = order.map((label) => next(label, taken)).find((found) => found !== undefined)!;
      taken.add(item);
      for (const label of item.labels) seen.set(label, seen.get(label)! + 1 / item.labels.length);
    }
    return [...taken];
  };
  return Object.assign(draw, {
    after: (): DrawState =>
      labels.map((label) => {
        const deck = decks.get(label)!.map((item) => items.indexOf(item));
        return { label, seen: seen.get(label)!, deck };
      }),
    goOn(state: DrawState) {
      for (const { label, seen: times, deck } of state) {
        seen.set(label, times);
        decks.set(
          label,
          deck.map((at) => items[at]!),
        );
      }
    },
  });
}
