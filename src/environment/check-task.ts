/**
 * What can be known to fail before anything is computed: a template or label words that do not fit
 * the task LM, an example that its context window does not hold. A run that would end so after its
 * search ends here, before it.
 */
import { ConfigError } from '../errors.ts';
import type { LanguageModel } from '../models/language-model.ts';
import { excerpt } from '../tasks/excerpt.ts';
import type { Example, Task } from '../tasks/task.ts';
import { labelWordsOf } from './label-words.ts';
import { layoutOf } from './layout.ts';

/**
 * Checks a task against its task LM, with room for prompts of `promptTokens`.
 * @throws ConfigError that names the first example at fault
 */
export function checkTask(task: Task, taskLm: LanguageModel, promptTokens: number): void {
  const { tokenizer, config, name } = taskLm;
  const layout = layoutOf(task, config.kind, tokenizer);
  const { words } = labelWordsOf(task, config.kind, tokenizer);
  const frame =
    layout.order === 'masked' ? tokenizer.encode('', { addSpecialTokens: true }).length : 0;
  const answer = Math.max(...words.map((word) => word.length - 1));
  const limit = config.contextLength - promptTokens - answer - frame;
  const fixed = Buffer.byteLength(task.template.source) + 64;
  const check = (split: string) => (example: Example) => {
    // A token is a byte at least: short texts need no tokenising.
    if (Buffer.byteLength(example.input) + fixed <= limit) return;
    const length = layout.before(example.input).length + layout.after(example.input).length;
    if (length <= limit) return;
    throw new ConfigError(
      `example "${excerpt(example.input)}" of the ${split} split has ${length} tokens, the task LM ${name} reads ${config.contextLength} and the prompt needs up to ${promptTokens} of them, shorten the text or leave it out`,
    );
  };
  task.train.forEach(check('train'));
  task.validation.forEach(check('validation'));
  task.test.check(check('test'));
}
