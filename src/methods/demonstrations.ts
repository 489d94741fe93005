/**
 * Sets of demonstrations: train examples with their label words, rendered through the task's own
 * template with a base prompt, put before the input. A set is a prompt's text; the template that it
 * stands in holds the base prompt.
 *
 *     {prompt}⏎⏎{input} Sentiment:      ← template of "{input} {prompt}" with the prompt "Sentiment:"
 *     Great fun. Sentiment: positive    ← one demonstration
 *
 * Where the task LM is asked in text, base prompt and demonstrations together are the prompt.
 */
import { type Prompt, readable } from '../environment/index.ts';
import { ConfigError } from '../errors.ts';
import type { Example, Task, TextExample } from '../tasks/task.ts';
import { hasSlot, renderTemplate, type Template } from '../tasks/template.ts';
import type { Rng } from '../util/rng.ts';

export interface Shape {
  /** The prompt that stands at the input and in every demonstration. */
  readonly prompt: string;
  /** Text between demonstrations. */
  readonly separator: string;
}

/** Demonstrations in their order, as a prompt. */
export interface Shown<E = Example> extends Prompt {
  readonly examples: readonly E[];
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

/** The same for a task that is answered in text. */
export function demonstrateText(example: TextExample): string {
  return `Input: ${readable(example)}\nAnswer: ${example.golds[0]}`;
}

export interface DrawerOptions<E> {
  /** Examples to show, by what each set should hold as many of. */
  readonly groups: readonly (readonly E[])[];
  readonly shots: number;
  /** Most tokens of a set. */
  readonly limit: number;
  readonly rng: Rng;
  /** A set as a prompt. */
  render(examples: readonly E[]): Prompt;
  tokensOf(prompt: Prompt): number;
}

/** Draws sets that fit, none twice. */
export class Drawer<E> {
  private readonly options: DrawerOptions<E>;
  /** Shortest first. */
  private readonly groups: readonly (readonly E[])[];
  private readonly seen = new Set<string>();

  /** @throws ConfigError when there are too few examples, or the shortest do not fit */
  constructor(options: DrawerOptions<E>) {
    const { groups, shots, limit } = options;
    this.options = options;
    const count = groups.reduce((sum, group) => sum + group.length, 0);
    if (count < shots) {
      throw new ConfigError(
        `few-shot: ${shots} shots, but there are ${count} examples to show, lower shots or raise share`,
      );
    }
    const lengths = new Map(groups.flat().map((example) => [example, this.size([example])]));
    this.groups = groups
      .map((group) => [...group].sort((a, b) => lengths.get(a)! - lengths.get(b)!))
      .filter((group) => group.length > 0);
    const least = this.size(roundRobin(this.groups, shots));
    if (least > limit) {
      throw new ConfigError(
        `few-shot: the shortest ${shots} demonstrations have ${least} tokens, there is room for ${limit}, lower shots or raise maxTokens`,
      );
    }
  }

  /** Up to `count` new sets at random; fewer where nearly all were drawn already. */
  draw(count: number): Shown<E>[] {
    const { rng, shots } = this.options;
    const needed = Math.ceil(shots / this.groups.length);
    return this.collect(count, (attempt) => {
      // Where random sets are too long, look among ever shorter examples.
      const share = 0.5 ** Math.floor(attempt / (8 * count));
      const shortest = (least: number) =>
        this.groups.map((g) => g.slice(0, Math.max(least, Math.ceil(share * g.length))));
      let least = needed;
      let groups = shortest(least);
      // What a small group lacks, the others make up for.
      while (groups.flat().length < shots) groups = shortest(++least);
      const shuffled = groups.map((group) => rng.shuffle(group));
      return rng.shuffle(roundRobin(rng.shuffle(shuffled), shots));
    });
  }

  /** Up to `count` new sets that differ from `shown` in the order of two, or in one. */
  neighbours({ examples }: Shown<E>, count: number): Shown<E>[] {
    const { rng } = this.options;
    return this.collect(count, () => {
      const out = [...examples];
      const at = rng.integer(out.length);
      const hasOthers = this.groups.some((group) => group.some((e) => !examples.includes(e)));
      const swaps = !hasOthers || rng.next() < 0.5;
      if (swaps && out.length > 1) {
        const other = (at + 1 + rng.integer(out.length - 1)) % out.length;
        [out[at], out[other]] = [out[other]!, out[at]!];
        return out;
      }
      const group = this.groups.find((members) => members.includes(out[at]!))!;
      const fitting = group.filter((example) => !examples.includes(example));
      const next = fitting[rng.integer(fitting.length)];
      if (next) out[at] = next;
      return out;
    });
  }

  /** Tokens of a set. */
  tokensOf(prompt: Prompt): number {
    return this.options.tokensOf(prompt);
  }

  private collect(count: number, propose: (attempt: number) => readonly E[]): Shown<E>[] {
    const { render, tokensOf, limit } = this.options;
    const out: Shown<E>[] = [];
    for (let attempt = 0; attempt < 64 * count && out.length < count; attempt++) {
      const examples = propose(attempt);
      const prompt = render(examples);
      if (tokensOf(prompt) > limit || this.seen.has(prompt.text)) continue;
      this.seen.add(prompt.text);
      out.push({ ...prompt, examples });
    }
    return out;
  }

  private size(examples: readonly E[]): number {
    return this.tokensOf(this.options.render(examples));
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
