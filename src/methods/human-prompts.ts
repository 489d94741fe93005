/**
 * What people write for tasks of a kind. Which kind a task is, its label words say; prompts that
 * name the classes are built from those words.
 */
import type { AnyTask, Task } from '../tasks/task.ts';

export const familyNames = ['sentiment', 'topic', 'question', 'generic'] as const;
export type FamilyName = (typeof familyNames)[number];

/** More classes than this are not listed in a prompt. */
const MOST_LISTED = 8;

const sentiment: readonly string[] = [
  'Sentiment:',
  'It was',
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

const topic: readonly string[] = [
  'Topic:',
  'The topic is',
  'This text is about',
  'This is about',
  'The category is',
  'Subject:',
  'The subject of this text is',
  'What is this text about? It is about',
  'Classify the text by topic:',
  'Section:',
  'Tag:',
];

const question: readonly string[] = [
  'Answer:',
  'The answer is',
  'Is that right?',
  'Is this correct? Answer:',
  'Question: is this so? Answer:',
  'In short:',
  'The correct answer is',
  'So the answer is',
];

const generic: readonly string[] = [
  'Category:',
  'Label:',
  'Class:',
  'Answer:',
  'The label is',
  'The right label is',
  'This is',
  'In one word:',
  'Classify the text:',
  'Verdict:',
];

const SENTIMENT_WORDS = new Set(
  'positive negative neutral good bad great terrible awful excellent poor happy sad angry mixed love hate'.split(
    ' ',
  ),
);
const QUESTION_WORDS = new Set('yes no maybe true false right wrong correct incorrect'.split(' '));

/** The kind that a task's label words speak for. */
export function familiesOf(task: Task): FamilyName[] {
  const words = task.classes.map(({ word }) => word.trim().toLowerCase());
  if (words.every((word) => SENTIMENT_WORDS.has(word))) return ['sentiment'];
  if (words.every((word) => QUESTION_WORDS.has(word))) return ['question', 'generic'];
  return ['generic', 'topic'];
}

/** Instructions where answers are text; else prompts of the families, by default those of the task's kind; the first is what comes to mind. */
export function humanCandidates(task: AnyTask, families?: readonly FamilyName[]): string[] {
  if (task.kind === 'text') return [...new Set(task.humanPrompts)];
  return humanContinuations(task, families);
}

function humanContinuations(
  task: Task,
  families: readonly FamilyName[] = familiesOf(task),
): string[] {
  return [...new Set(families.flatMap((family) => membersOf(family, task)))];
}

/** What somebody would write without trying. */
export function ordinaryPrompt(task: AnyTask): string {
  return humanCandidates(task)[0]!;
}

function membersOf(family: FamilyName, task: Task): readonly string[] {
  if (family === 'sentiment') return sentiment;
  if (family === 'topic') return [...topic, ...naming(task, (words) => `Is this about ${words}?`)];
  if (family === 'question') return question;
  return [
    ...generic,
    ...naming(task, (words) => `Is this ${words}?`),
    ...naming(task, (words) => `Is this ${words}? Answer:`),
    ...naming(task, (words) => `Classify as ${words}:`),
  ];
}

/** A prompt that lists the label words, where they are few enough to list. */
function naming({ classes }: Task, form: (words: string) => string): string[] {
  if (classes.length > MOST_LISTED) return [];
  const words = classes.map(({ word }) => word.trim());
  return [form(`${words.slice(0, -1).join(', ')} or ${words.at(-1)}`)];
}
