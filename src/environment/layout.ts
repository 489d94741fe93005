/**
 * How a template and a task LM's tokenizer divide every rendered text into a side that repeats and a
 * side that changes: which of them is cached, and where the answer is read.
 *
 * Spaces belong to the token that follows them, so a text is cut before a space, never after.
 */
import { ConfigError } from '../errors.ts';
import type { Tokenizer } from '../models/tokenizer.ts';
import type { Task } from '../tasks/task.ts';
import { hasSlot, renderTemplate, splitAtPrompt } from '../tasks/template.ts';

export type Order = 'input-first' | 'prompt-first' | 'masked';

/** A prompt as the search has it: its text, and token ids of the task LM where they are fixed. */
export interface Prompt {
  readonly text: string;
  /** Ids that stand for the text in its place in the template; kept as sampled while training. */
  readonly ids?: readonly number[];
}

/** A prompt in its place in one text. */
export interface Rendered {
  readonly ids: readonly number[];
  /** Index of the token at which the answer is read. */
  readonly answer: number;
}

export interface Layout {
  readonly order: Order;
  /** Text of the prompt as it stands in the template, a leading space included if there is one. */
  surface(prompt: string): string;
  /** Ids of the part before the prompt for one input, without the space that belongs to it. */
  before(input: string): number[];
  /** Ids of the part after the prompt for one input. */
  after(input: string): number[];
  /** Ids of the prompt in its place. */
  prompt(text: string): number[];
  /** Ids of the whole rendered text. */
  whole(input: string, prompt: string): number[];
}

/** @throws ConfigError when the template does not fit the kind of task LM */
export function layoutOf(task: Task, kind: 'causal' | 'masked', tokenizer: Tokenizer): Layout {
  const isMasked = kind === 'masked';
  if (isMasked !== hasSlot(task.template, 'mask')) {
    throw new ConfigError(
      isMasked
        ? `template "${task.template.source}" has no {mask}, a masked task LM needs one, for example "{input} {prompt} {mask} ."`
        : `template "${task.template.source}" has {mask}, but the task LM writes from left to right, take {mask} out`,
    );
  }
  const mask = maskText(tokenizer, isMasked);
  const sides = (input: string) => splitAtPrompt(task.template, input, mask);
  const lead = sides('x').before.endsWith(' ') ? ' ' : '';
  const cut = (text: string) => (lead ? text.slice(0, -1) : text);
  // A masked text is framed as a whole.
  const bos = isMasked ? [] : bosIds(tokenizer);
  const order = isMasked
    ? 'masked'
    : sides('').before === sides('x').before
      ? 'prompt-first'
      : 'input-first';
  const values = (input: string, prompt: string) =>
    mask === undefined ? { input, prompt } : { input, prompt, mask };
  return {
    order,
    surface: (prompt) => (prompt === '' ? '' : lead + prompt),
    before: (input) => [...bos, ...tokenizer.encode(cut(sides(input).before))],
    after: (input) => tokenizer.encode(sides(input).after),
    prompt: (text) => (text === '' ? [] : tokenizer.encode(lead + text)),
    whole: (input, prompt) => {
      const text = renderTemplate(task.template, values(input, prompt));
      return isMasked
        ? tokenizer.encode(text, { addSpecialTokens: true })
        : [...bos, ...tokenizer.encode(text)];
    },
  };
}

function maskText(tokenizer: Tokenizer, isMasked: boolean): string | undefined {
  if (!isMasked) return undefined;
  const id = tokenizer.special.mask;
  if (id === undefined)
    throw new ConfigError('the masked task LM has no mask token, use another model');
  return tokenizer.decode([id], { keepSpecialTokens: true });
}

/** What the model's own post-processor puts in front of every text, if it does. */
function bosIds(tokenizer: Tokenizer): number[] {
  const { bos } = tokenizer.special;
  return bos !== undefined && tokenizer.encode('a', { addSpecialTokens: true })[0] === bos
    ? [bos]
    : [];
}
