/** Examples as token ids around the place where a prompt goes. */
import { ConfigError } from '../errors.ts';
import type { LanguageModel } from '../models/language-model.ts';
import { excerpt } from '../tasks/excerpt.ts';
import type { Example, Task } from '../tasks/task.ts';
import { type Layout, layoutOf, type Rendered } from './layout.ts';

type Ids = readonly number[];

export class ExampleTexts {
  readonly layout: Layout;
  private readonly taskLm: LanguageModel;
  private readonly examples: readonly Example[];
  private readonly prefixes: readonly Ids[];
  private readonly suffixes: readonly Ids[];
  /** What the tokenizer puts around a text: half before, half after. */
  private readonly frame: Ids;
  /** The longest example without a prompt. */
  private readonly longest: number;

  /** @throws ConfigError when the template does not fit the task LM */
  constructor(task: Task, taskLm: LanguageModel, examples: readonly Example[]) {
    this.taskLm = taskLm;
    this.examples = examples;
    this.layout = layoutOf(task, taskLm.config.kind, taskLm.tokenizer);
    this.prefixes = examples.map(({ input }) => this.layout.before(input));
    this.suffixes = examples.map(({ input }) => this.layout.after(input));
    this.frame = taskLm.tokenizer.encode('', { addSpecialTokens: true });
    const lengths = examples.map((_, e) => this.lengthOf(e));
    this.longest = lengths.indexOf(lengths.reduce((a, b) => Math.max(a, b)));
  }

  /** Tokens of an example without a prompt. */
  lengthOf(e: number): number {
    return this.prefixes[e]!.length + this.suffixes[e]!.length;
  }

  before(e: number): Ids {
    return this.prefixes[e]!;
  }

  after(e: number): Ids {
    return this.suffixes[e]!;
  }

  /** With the prompt first, what stands before the input is the same for all examples. */
  beforeInput(prompt: Ids): number[] {
    return [...this.prefixes[0]!, ...prompt];
  }

  /** All ids of an example, the prompt's as they are in their place. */
  whole(prompt: Ids, e: number): number[] {
    const ids = [...this.prefixes[e]!, ...prompt, ...this.suffixes[e]!];
    if (this.layout.order !== 'masked') return ids;
    const half = this.frame.length / 2;
    return [...this.frame.slice(0, half), ...ids, ...this.frame.slice(half)];
  }

  rendered(prompt: Ids, e: number): Rendered {
    const ids = this.whole(prompt, e);
    return { ids, answer: this.answerPlace(ids) };
  }

  /** Index of the token at which the answer is read. */
  answerPlace(ids: Ids): number {
    const { mask } = this.taskLm.tokenizer.special;
    return this.layout.order === 'masked' ? ids.indexOf(mask!) : ids.length - 1;
  }

  /** Whether nothing stands behind what is cached, so that there is no branch to compute. */
  isBranchless(prompt: Ids, examples: readonly number[]): boolean {
    const ends = examples.some((e) => this.suffixes[e]!.length === 0);
    return ends && (this.layout.order === 'prompt-first' || prompt.length === 0);
  }

  /** @throws ConfigError when the longest example, a prompt and `answer` tokens are too long for the task LM */
  checkLength(prompt: Ids, answer: number): void {
    const { name, config } = this.taskLm;
    const length = this.lengthOf(this.longest) + prompt.length + answer;
    if (length > config.contextLength) {
      throw new ConfigError(
        `example "${excerpt(this.examples[this.longest]!.input)}" with the prompt is ${length} tokens, the task LM ${name} reads at most ${config.contextLength}, shorten the prompt or the text, or leave the example out`,
      );
    }
  }
}
