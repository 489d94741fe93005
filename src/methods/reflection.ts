/** What a policy LM is told when it is to mend a prompt, and how the new prompt is found in its answer. */
import type { AnsweredExample } from '../environment/index.ts';
import type { Message } from '../providers/text-model.ts';
import type { AnyTask } from '../tasks/task.ts';

export interface Lesson extends AnsweredExample {
  readonly isRight: boolean;
}

export interface Mending {
  readonly task: AnyTask;
  readonly prompt: string;
  readonly lessons: readonly Lesson[];
  readonly maxCharacters: number;
}

/** Characters of one input or answer that are shown. */
const SHOWN = 800;

/** The request: task, prompt, failures and a success, and what the new prompt must be like. */
export function requestFor({ task, prompt, lessons, maxCharacters }: Mending): Message[] {
  const failures = lessons.filter(({ isRight }) => !isRight).map(describe);
  const successes = lessons.filter(({ isRight }) => isRight).map(describe);
  const parts = [
    `An assistant is given a prompt and then an input. ${task.description}`.trim(),
    `Its prompt now:\n${fenced(prompt)}`,
    `With it these answers were wrong or not good enough:\n\n${failures.join('\n\n')}`,
    ...(successes.length > 0 ? [`This one was right:\n\n${successes.join('\n\n')}`] : []),
    'Find out what the prompt leaves unsaid: rules of the task, form and length of the answer, facts ' +
      'that the inputs take for granted. Write a better prompt that holds for inputs of this kind that ' +
      'are not shown here; do not quote the examples.',
    `Answer with the new prompt alone, between lines of three backticks, at most ${maxCharacters} characters.`,
  ];
  return [{ role: 'user', content: parts.join('\n\n') }];
}

/** The text between the last pair of fences, or all of it where there is none. */
export function proposalIn(answer: string): string {
  const blocks = [...answer.matchAll(/^[ \t]*```[^\n]*\n([\s\S]*?)^[ \t]*```[ \t]*$/gm)];
  const found = blocks.at(-1)?.[1];
  if (found !== undefined) return found.trim();
  return answer.replace(/^[ \t]*```[^\n]*$/gm, '').trim();
}

function describe({ input, answer, gold }: Lesson): string {
  return `Input: ${cut(input)}\nAnswer: ${cut(answer)}\nWanted: ${cut(gold)}`;
}

function cut(text: string): string {
  return text.length > SHOWN ? `${text.slice(0, SHOWN)} […]` : text;
}

function fenced(text: string): string {
  return `\`\`\`\n${text}\n\`\`\``;
}
