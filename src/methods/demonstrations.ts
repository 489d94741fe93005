/**
 * Sets of demonstrations: train examples with their label words, rendered through the task's own
 * template with a base prompt, put before the input. A set is a prompt's text; the template that it
 * stands in holds the base prompt.
 *
 *     {prompt}⏎⏎{input} Sentiment:      ← template of "{input} {prompt}" with the prompt "Sentiment:"
 *     Great fun. Sentiment: positive    ← one demonstration
 */
import type { Layout, Prompt } from '../environment/index.ts';
import { ConfigError } from '../errors.ts';
import type { Example, Task } from '../tasks/task.ts';
import { hasSlot, renderTemplate, type Template } from '../tasks/template.ts';
import type { Rng } from '../util/rng.ts';

export interface Shape {
  /** The prompt that stands at the input and in every demonstration. */
  readonly prompt: string;
  /** Text between demonstrations. */
  readonly separator: string;
}

/** Demonstrations in their order, as a prompt. */
export interface Shown extends Prompt {
  readonly examples: readonly Example[];
}

/** Source of the template in which demonstrations are the prompt. */
export function templateWith({ template }: Task, { prompt, separator }: Shape): string {
  const escaped: Template = {
    source: template.source,
    parts: template.parts.map((part) =>
      part.kind === 'text' ? { ...part, text: escapeBraces(part.text) } : part,
    ),
  };
  const slots = { input: '{input}', prompt: escapeBraces(prompt), mask: '{mask}' };
  return `{prompt}${escapeBraces(separator)}${renderTemplate(escaped, slots)}`;
}

/** An example as the task LM should have answered it. */
export function demonstrate({ template, classes }: Task, example: Example, prompt: string): string {
  const { word } = classes[example.label]!;
  const { input } = example;
  if (hasSlot(template, 'mask')) return renderTemplate(template, { input, prompt, mask: word });
  return `${renderTemplate(template, { input, prompt })} ${word}`;
}

export interface DrawerOptions extends Shape {
  readonly task: Task;
  /** How the template of the demonstrations divides texts. */
  readonly layout: Layout;
  readonly examples: readonly Example[];
  readonly shots: number;
  readonly isBalanced: boolean;
  /** Most tokens of a set. */
  readonly limit: number;
  readonly rng: Rng;
}

/** Draws sets that fit, none twice. */
export class Drawer {
  private readonly options: DrawerOptions;
  /** Examples by class, or all together, shortest first. */
  private readonly groups: readonly (readonly Example[])[];
  private readonly seen = new Set<string>();

  /** @throws ConfigError when there are too few examples, or the shortest do not fit */
  constructor(options: DrawerOptions) {
    const { task, examples, shots, limit, isBalanced } = options;
    this.options = options;
    if (examples.length < shots) {
      throw new ConfigError(
        `few-shot: ${shots} shots, but there are ${examples.length} examples to show, lower shots or raise share`,
      );
    }
    const lengths = new Map(examples.map((example) => [example, this.tokensOf([example])]));
    const sorted = [...examples].sort((a, b) => lengths.get(a)! - lengths.get(b)!);
    this.groups = isBalanced
      ? task.classes
          .map((_, label) => sorted.filter((example) => example.label === label))
          .filter((group) => group.length > 0)
      : [sorted];
    const least = this.tokensOf(roundRobin(this.groups, shots));
    if (least > limit) {
      throw new ConfigError(
        `few-shot: the shortest ${shots} demonstrations have ${least} tokens, there is room for ${limit}, lower shots or raise maxTokens`,
      );
    }
  }

  /** Up to `count` new sets at random; fewer where nearly all were drawn already. */
  draw(count: number): Shown[] {
    const { rng, shots } = this.options;
    const needed = Math.ceil(shots / this.groups.length);
    return this.collect(count, (attempt) => {
      // Where random sets are too long, look among ever shorter examples.
      const share = 0.5 ** Math.floor(attempt / (8 * count));
      const groups = this.groups.map((group) =>
        rng.shuffle(group.slice(0, Math.max(needed, Math.ceil(share * group.length)))),
      );
      return rng.shuffle(roundRobin(rng.shuffle(groups), shots));
    });
  }

  /** Up to `count` new sets that differ from `shown` in the order of two, or in one. */
  neighbours({ examples }: Shown, count: number): Shown[] {
    const { rng, isBalanced } = this.options;
    const others = this.groups.flat().filter((example) => !examples.includes(example));
    return this.collect(count, () => {
      const out = [...examples];
      const at = rng.integer(out.length);
      const swaps = others.length === 0 || rng.next() < 0.5;
      if (swaps && out.length > 1) {
        const other = (at + 1 + rng.integer(out.length - 1)) % out.length;
        [out[at], out[other]] = [out[other]!, out[at]!];
        return out;
      }
      const { label } = out[at]!;
      const fitting = others.filter((example) => !isBalanced || example.label === label);
      const next = fitting[rng.integer(fitting.length)];
      if (next) out[at] = next;
      return out;
    });
  }

  private collect(count: number, propose: (attempt: number) => readonly Example[]): Shown[] {
    const out: Shown[] = [];
    for (let attempt = 0; attempt < 64 * count && out.length < count; attempt++) {
      const examples = propose(attempt);
      const text = this.textOf(examples);
      const ids = this.options.layout.prompt(text);
      if (ids.length > this.options.limit || this.seen.has(text)) continue;
      this.seen.add(text);
      out.push({ text, ids, examples });
    }
    return out;
  }

  private textOf(examples: readonly Example[]): string {
    const { task, prompt, separator } = this.options;
    return examples.map((example) => demonstrate(task, example, prompt)).join(separator);
  }

  private tokensOf(examples: readonly Example[]): number {
    return this.options.layout.prompt(this.textOf(examples)).length;
  }
}

/** One of each group in turn, until there are `count` or nothing is left. */
function roundRobin<T>(groups: readonly (readonly T[])[], count: number): T[] {
  const longest = Math.max(...groups.map((group) => group.length));
  const turns = Array.from({ length: longest }, (_, i) =>
    groups.flatMap((group) => group.slice(i, i + 1)),
  );
  return turns.flat().slice(0, count);
}

function escapeBraces(text: string): string {
  return text.replaceAll('{', '{{').replaceAll('}', '}}');
}
