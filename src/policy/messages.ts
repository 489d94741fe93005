/**
 * What a policy LM that writes prompts in words is asked: a message made of the parts of a context
 * that it conditions on. Which parts a policy was trained on is recorded with it, since it writes
 * well for those alone.
 */
import type { ChatMessage } from '../models/chat-template.ts';
import type { AnyTask } from '../tasks/task.ts';
import type { Rng } from '../util/rng.ts';

export const contextParts = ['description', 'examples', 'conversation', 'question'] as const;
export type ContextPart = (typeof contextParts)[number];

/** Those of the parts that differ from one input to the next. */
export function ownParts(parts: readonly ContextPart[]): ('conversation' | 'question')[] {
  return (['conversation', 'question'] as const).filter((part) => parts.includes(part));
}

export interface ShownExample {
  readonly input: string;
  readonly answer: string;
}

/** What may be known when a prompt is wanted; all of it is optional. */
export interface PolicyContext {
  readonly description?: string | undefined;
  readonly examples?: readonly ShownExample[] | undefined;
  /** Earlier turns, first to last. */
  readonly conversation?: readonly ChatMessage[] | undefined;
  /** What is to be answered with the prompt that is written. */
  readonly question?: string | undefined;
}

export interface MessageOptions {
  /** What is put into the message, where the context has it. @default all */
  readonly parts?: readonly ContextPart[];
  /** Most words that the prompt should have. */
  readonly words: number;
}

/** One message of the user, since not every template knows a system. */
export function messagesFor(
  context: PolicyContext,
  { parts = contextParts, words }: MessageOptions,
): ChatMessage[] {
  const shown = {
    description: context.description?.trim() && `Task: ${context.description.trim()}`,
    examples: context.examples
      ?.map(({ input, answer }) => `Text: ${input}\nAnswer: ${answer}`)
      .join('\n\n'),
    conversation:
      context.conversation?.length &&
      `Conversation so far:\n${context.conversation.map((m) => `${m.role}: ${m.content.trim()}`).join('\n')}`,
    question: context.question?.trim() && `Question: ${context.question.trim()}`,
  };
  const common = (['description', 'examples'] as const).filter((part) => parts.includes(part));
  const blocks = common.flatMap((part) => shown[part] || []);
  const request = `Write a prompt of at most ${words} words that makes a language model answer this correctly. Reply with the prompt alone.`;
  // What differs comes last: all before it is read once for many contexts.
  const own = ownParts(parts).flatMap((part) => shown[part] || []);
  return [{ role: 'user', content: [...blocks, request, ...own].join('\n\n') }];
}

/** Characters of an example that is shown. */
const MOST_CHARACTERS = 200;

/** Examples that are shown. */
const MOST_EXAMPLES = 4;

/**
 * One example of each of up to four classes, or up to four that are answered in text, drawn anew each
 * time; long ones are left out.
 */
export function drawExamples(task: AnyTask, rng: Rng): ShownExample[] {
  if (task.kind === 'text') {
    return rng
      .shuffle(task.train)
      .filter(({ input, golds }) => input.length + golds[0]!.length <= MOST_CHARACTERS)
      .slice(0, MOST_EXAMPLES)
      .map(({ input, golds }) => ({ input, answer: golds[0]! }));
  }
  const classes = rng.shuffle(task.classes.map((_, label) => label)).slice(0, MOST_EXAMPLES);
  return classes.flatMap((label) => {
    const fitting = task.train.filter(
      (e) => e.label === label && e.input.length <= MOST_CHARACTERS,
    );
    const example = fitting[rng.integer(fitting.length)];
    return example ? [{ input: example.input, answer: task.classes[label]!.word }] : [];
  });
}
