/**
 * The environment of tasks that are answered in text: a frozen task LM behind `TextModel`, examples
 * and a metric. `step(prompts)` gives one reward a prompt: the metric's mean over the examples; for
 * label words of a model that tells log-probabilities, that of graded answers; or a composed reward. No
 * prompt is asked twice on an example with the same decoding; an example that got no answer has no
 * score (it is left out and counted, never zero) and is asked again the next time.
 */
import { ConfigError, type WhetstoneError } from '../errors.ts';
import {
  type CompleteOptions,
  isFailure,
  type TextModel,
  type TextRequest,
} from '../providers/text-model.ts';
import { type MessageValues, renderMessages } from '../tasks/message-template.ts';
import type { Answer, Metric } from '../tasks/metrics/metric.ts';
import type { AnswerReward } from '../tasks/rewards/answer-reward.ts';
import type { ComposedReward } from '../tasks/rewards/composed.ts';
import type { TextExample, TextTask } from '../tasks/task.ts';
import { type Charge, charged } from './charge.ts';
import type { Grade, GradedAnswers } from './graded-answers.ts';
import { KeptResults } from './kept-results.ts';
import type { Prompt } from './layout.ts';
import type { PromptScore } from './prompt-score.ts';
import type { AnsweredExample, PromptScorer } from './prompt-scorer.ts';

export interface TextEnvironmentOptions {
  readonly task: TextTask;
  readonly taskLm: TextModel;
  readonly metric: Metric;
  readonly examples: readonly TextExample[];
  /** Answers that other environments of the same task LM got already. */
  readonly memory?: AnswerMemory;
  /** Where gold answers are label words: rewards by how likely they are, too. */
  readonly graded?: GradedAnswers | undefined;
  /** Where rewards are composed of parts. @default the metric's score, or the grade */
  readonly composed?: AnswerReward | undefined;
  /** What texts cost beside the task: taken off their rewards. */
  readonly charge?: Charge | undefined;
  /** Examples of one block. @default 8 */
  readonly blockSize?: number;
  /** Indices of examples that are asked for together, each once: a block holds such alone. @default all */
  readonly together?: readonly (readonly number[])[] | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told how many questions are about to be sent; what it throws keeps them from it. */
  readonly reserve?: ((questions: number) => void) | undefined;
  /** Told of answers that did not come or could not be judged. */
  readonly onFailures?: ((failures: readonly AnswerFailure[]) => void) | undefined;
  /** Told of answers by which the task LM, or a filter before it, declined: they are judged like others. */
  readonly onRefusals?: ((texts: readonly string[], of: number) => void) | undefined;
}

export interface AnswerFailure {
  readonly example: TextExample;
  readonly message: string;
}

interface Judged {
  readonly output: string;
  /** By the metric. */
  readonly score: number;
  readonly reward: number;
  /** What a composed reward is made of. */
  readonly parts?: ComposedReward;
}

/** An answer on its way to a judgement. */
interface Came {
  readonly pair: { readonly text: string; readonly e: number };
  readonly answer: Answer;
  readonly tokens: number;
  readonly grade: Grade | undefined;
}

/** Answers after which, if none of them came, the task LM is taken to be out of order. */
const FAILURES_IN_A_ROW = 10;

export class TextEnvironment implements PromptScorer {
  readonly task: TextTask;
  readonly examples: readonly TextExample[];
  /** Questions put to the task LM so far. */
  evaluations = 0;
  /** Answers that did not come or could not be judged. */
  failures = 0;
  private readonly options: TextEnvironmentOptions;
  private readonly memory: AnswerMemory;
  private readonly blocks: readonly (readonly number[])[];

  constructor(options: TextEnvironmentOptions) {
    const { task, examples, blockSize = 8, together = [[...examples.keys()]] } = options;
    if (examples.length === 0) {
      throw new ConfigError(`task ${task.name}: there are no examples to score on`);
    }
    this.options = options;
    this.task = task;
    this.examples = examples;
    this.memory = options.memory ?? new AnswerMemory();
    this.blocks = together.flatMap((group) =>
      Array.from({ length: Math.ceil(group.length / blockSize) }, (_, b) =>
        group.slice(b * blockSize, (b + 1) * blockSize),
      ),
    );
  }

  get blockCount(): number {
    return this.blocks.length;
  }

  examplesOf(block: number): readonly number[] {
    return this.blocks[block]!;
  }

  /** @throws WhetstoneError when no answer comes at all; what `TextModel.complete` throws */
  step(
    prompts: readonly Prompt[],
    { blocks = [...this.blocks.keys()] }: { blocks?: readonly number[] } = {},
  ): Promise<PromptScore[]> {
    const wanted = blocks.flatMap((block) => this.blocks[block]!);
    return this.score(
      prompts.map(({ text }) => text),
      wanted,
    );
  }

  evaluate(texts: readonly string[], onProgress?: (share: number) => void): Promise<PromptScore[]> {
    return this.score(
      texts,
      this.examples.map((_, e) => e),
      onProgress,
    );
  }

  answered(score: PromptScore, at: number): AnsweredExample {
    const example = this.examples[score.examples[at]!]!;
    return {
      input: readable(example),
      answer: score.text!.outputs[at]!,
      gold: example.golds[0]!,
      reward: score.rewards[at]!,
    };
  }

  /** What a window holds is the task LM's to say, request by request. */
  checkRoom(): void {}

  async close(): Promise<void> {}

  private async score(
    texts: readonly string[],
    wanted: readonly number[],
    onProgress?: (share: number) => void,
  ): Promise<PromptScore[]> {
    const scores = await this.memory.during(async () => {
      const missing = [...new Set(texts)].flatMap((text) =>
        wanted.filter((e) => !this.known(text, e)).map((e) => ({ text, e })),
      );
      if (missing.length > 0) await this.ask(missing, onProgress);
      return texts.map((text) => this.summarise(text, wanted));
    });
    const prices = await this.options.charge?.(texts);
    return prices ? scores.map((score, i) => charged(score, prices[i]!)) : scores;
  }

  private async ask(
    pairs: readonly { readonly text: string; readonly e: number }[],
    onProgress: ((share: number) => void) | undefined,
  ): Promise<void> {
    const { taskLm, signal, graded, reserve } = this.options;
    reserve?.(pairs.length);
    // Others that ask at the same time must know of them.
    this.evaluations += pairs.length;
    const requests = pairs.map(({ text, e }): TextRequest => {
      return requestOf(this.task, { prompt: text, ...this.examples[e]! });
    });
    const settings: CompleteOptions = {
      signal,
      onProgress: (done) => onProgress?.(done / requests.length),
    };
    const completions = graded
      ? await graded.complete(taskLm, requests, settings)
      : await taskLm.complete(requests, settings);
    const came: Came[] = [];
    const failed: AnswerFailure[] = [];
    let inARow = 0;
    let worst = 0;
    let last: WhetstoneError | undefined;
    completions.forEach((completion, i) => {
      const pair = pairs[i]!;
      const example = this.examples[pair.e]!;
      if (isFailure(completion)) {
        failed.push({ example, message: completion.error.message });
        // One that failed before says nothing new.
        if (this.memory.noteFailure(this.place(pair.text), example.id)) return;
        last = completion.error;
        worst = Math.max(worst, ++inARow);
        return;
      }
      inARow = 0;
      const { golds, input } = example;
      const answer = { output: completion.text, golds, input };
      const { outputTokens: tokens } = completion;
      came.push({ pair, answer, tokens, grade: graded?.gradeOf(completion) });
    });
    const isDead = came.length === 0 && this.memory.isEmpty;
    if (last && (isDead || worst >= FAILURES_IN_A_ROW)) throw last;
    const refused = completions.flatMap((one) =>
      !isFailure(one) && one.finish === 'refusal' ? [one.text] : [],
    );
    if (refused.length > 0) this.options.onRefusals?.(refused, completions.length);
    failed.push(...(await this.judge(came)));
    this.failures += failed.length;
    if (failed.length > 0) this.options.onFailures?.(failed);
  }

  /** Keeps what the answers are worth; those that could not be judged are given back. */
  private async judge(came: readonly Came[]): Promise<AnswerFailure[]> {
    const { metric, composed, signal } = this.options;
    const failed: AnswerFailure[] = [];
    const scores = await metric.score(
      came.map(({ answer }) => answer),
      signal,
    );
    const rewarded = came.flatMap(({ pair: { text: prompt, e }, answer, tokens, grade }, i) => {
      const score = scores[i];
      const example = this.examples[e]!;
      if (score === null || score === undefined || !Number.isFinite(score)) {
        failed.push({ example, message: `the metric ${metric.name} gave no score${why(metric)}` });
        return [];
      }
      const own = grade?.(example.golds[0]!, score) ?? score;
      return { example, prompt, tokens, score, own, ...answer };
    });
    const all = await composed?.of(rewarded, signal);
    rewarded.forEach(({ example, prompt, output, score, own }, i) => {
      const parts = all?.[i];
      if (parts === null) {
        failed.push({ example, message: `a metric of the reward gave no score${why(composed!)}` });
        return;
      }
      const judged = { output, score, reward: parts?.reward ?? own, ...(parts ? { parts } : {}) };
      this.memory.set(this.place(prompt), example.id, judged);
    });
    return failed;
  }

  /** All that decides an answer but the example. */
  private place(text: string): string {
    const { template, maxAnswerTokens, stop } = this.task;
    const { key } = this.options.taskLm;
    return JSON.stringify([key, template.source, maxAnswerTokens, stop ?? [], text]);
  }

  private known(text: string, e: number): Judged | undefined {
    return this.memory.get(this.place(text), this.examples[e]!.id);
  }

  private summarise(text: string, wanted: readonly number[]): PromptScore {
    const place = this.place(text);
    const judged = wanted.flatMap((e) => {
      const known = this.memory.get(place, this.examples[e]!.id);
      return known ? [{ e, ...known }] : [];
    });
    const scores = judged.map(({ score }) => score);
    const rewards = judged.map(({ reward }) => reward);
    // No score at all is not zero.
    const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
    const outputs = judged.map(({ output }) => output);
    const corpus = this.options.metric.corpus?.(
      judged.map(({ e, output }) => {
        const { golds, input } = this.examples[e]!;
        return { output, golds, input };
      }),
    );
    return {
      reward: mean(rewards),
      accuracy: mean(scores),
      examples: judged.map(({ e }) => e),
      rewards,
      ...(this.options.composed ? { parts: judged.map(({ parts }) => parts!) } : {}),
      predicted: [],
      scores: new Float32Array(0),
      text: {
        outputs,
        scores,
        failed: wanted.length - judged.length,
        ...(corpus === undefined ? {} : { corpus }),
      },
    };
  }
}

/** ", since …", where that is known. */
function why({ lastFailure }: Pick<Metric, 'lastFailure'>): string {
  const reason = lastFailure?.();
  return reason === undefined ? '' : `, since ${reason}`;
}

/** How a task's example is asked with a prompt. */
export function requestOf(task: TextTask, { prompt, input, ...own }: MessageValues): TextRequest {
  const { template, maxAnswerTokens: maxTokens, stop } = task;
  const { question, conversation } = own;
  // Where labels are asked for, the conversation is the policy's alone, whoever answers.
  const shown = task.labelWords ? {} : { conversation };
  return {
    messages: renderMessages(template, { prompt, input, question, ...shown }),
    maxTokens,
    temperature: 0,
    ...(stop ? { stop } : {}),
  };
}

/** Answers by place (task LM, template, decoding, prompt) and example. */
export class AnswerMemory extends KeptResults<string, Judged> {
  private readonly failed = new Set<string>();

  /** Keeps `limit` answers between calls. */
  constructor(limit = 1_000_000) {
    super(limit);
  }

  /** Remembers that no answer came; true where that is so for the second time. */
  noteFailure(place: string, example: string): boolean {
    const key = `${place} ${example}`;
    if (this.failed.has(key)) return true;
    this.failed.add(key);
    return false;
  }
}

/** An example as one text: conversation, input, question. */
export function readable({ input, question, conversation = [] }: TextExample): string {
  const turns = conversation.map(({ role, content }) => `${role}: ${content}`);
  return [...turns, input, question ?? ''].filter((part) => part !== '').join('\n');
}
