/** The text that a policy reads before it writes: the task's description and an example of each class. */
import type { LanguageModel } from '../models/language-model.ts';
import type { Tokenizer } from '../models/tokenizer.ts';
import type { Task } from '../tasks/task.ts';

/** Ends where the prompt begins. Of what does not fit into `maxTokens`, the last examples are left out. */
export function describeTask(
  task: Task,
  { tokenizer, maxTokens }: { tokenizer: Tokenizer; maxTokens: number },
): string {
  const end = 'A short prompt for this task:';
  const size = (text: string) => tokenizer.encode(text).length + 2; // a line end joins each of them
  let left = maxTokens - size(end);
  const description = task.description.trim();
  const lines: string[] = [];
  if (description && left > 0) {
    const ids = tokenizer.encode(description);
    lines.push(ids.length <= left ? description : tokenizer.decode(ids.slice(0, left)));
    left -= ids.length + 2;
  }
  for (const [label, { word }] of task.classes.entries()) {
    const example = task.train.find((e) => e.label === label && e.input.length < 200);
    if (!example) continue;
    const line = `Text: ${example.input}\nAnswer: ${word}`;
    left -= size(line);
    if (left < 0) break;
    lines.push(line);
  }
  return [...lines, end].join('\n');
}

/** Ids of a text that something is written after: at least one, a beginning where there is no text. */
export function contextIds({ tokenizer }: LanguageModel, text: string): number[] {
  const ids = tokenizer.encode(text, { addSpecialTokens: true });
  const { bos, eos } = tokenizer.special;
  return ids.length > 0 ? ids : [bos ?? eos ?? 0];
}
