/** The text that a policy reads before it writes: the task's description and a few examples. */
import type { LanguageModel } from '../models/language-model.ts';
import type { Tokenizer } from '../models/tokenizer.ts';
import type { AnyTask } from '../tasks/task.ts';

/** Tokens of a policy's window that are made use of; the other half is for what it writes. */
const MAX_WINDOW = 2048;

/** Most tokens of what a policy reads. */
export function policyContextTokens({ config }: LanguageModel): number {
  return Math.floor(Math.min(config.contextLength, MAX_WINDOW) / 2);
}

/** Ends where the prompt begins. Of what does not fit into `maxTokens`, the last examples are left out. */
export function describeTask(
  task: AnyTask,
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
  for (const { input, answer } of shortExamples(task)) {
    const line = `Text: ${input}\nAnswer: ${answer}`;
    left -= size(line);
    if (left < 0) break;
    lines.push(line);
  }
  return [...lines, end].join('\n');
}

/** Examples of answers in text that are shown. */
const SHOWN = 4;

/** One of each class, or the first few whose answers are text. */
function shortExamples(task: AnyTask): { readonly input: string; readonly answer: string }[] {
  const isShort = ({ input }: { input: string }) => input.length < 200;
  if (task.kind === 'text' && !task.labelWords) {
    return task.train
      .filter((example) => isShort(example) && example.golds[0]!.length < 200)
      .slice(0, SHOWN)
      .map(({ input, golds }) => ({ input, answer: golds[0]! }));
  }
  const words = task.kind === 'text' ? task.labelWords! : task.classes.map(({ word }) => word);
  const train: AnyTask['train'][number][] = [...task.train];
  return words.flatMap((answer, label) => {
    const example = train.find((one) => one.label === label && isShort(one));
    return example ? [{ input: example.input, answer }] : [];
  });
}

/** Ids of a text that something is written after: at least one, a beginning where there is no text. */
export function contextIds({ tokenizer }: LanguageModel, text: string): number[] {
  const ids = tokenizer.encode(text, { addSpecialTokens: true });
  const { bos, eos } = tokenizer.special;
  return ids.length > 0 ? ids : [bos ?? eos ?? 0];
}
