/**
 * Reflection: the policy LM reads what a prompt got wrong and writes a better one. Prompts that are
 * best on at least one example live on (`pareto.ts`); a parent is drawn by how many examples it is
 * best on; its child must beat it on a minibatch before it is scored on more.
 *
 * Source: Agrawal et al. 2025, GEPA, arXiv 2507.19457. Deviations: one prompt and no system of them,
 * so no choice of a module and no merge of two candidates; several children a step, so that an API is
 * asked side by side; acceptance by a permutation test where `acceptance` is below 0.5; a length
 * limit.
 */
import { z } from 'zod';
import { answerScores, EXAMPLES_PER_PASS, type PromptScore } from '../environment/index.ts';
import { isFailure, type TextModel } from '../providers/text-model.ts';
import { pairedPermutationTest } from '../statistics/index.ts';
import { humanCandidates } from './human-prompts.ts';
import { anyTaskLm, isOpen, method, type PromptContext } from './method.ts';
import { drawLeader, paretoFront, type Scored } from './pareto.ts';
import { minibatch } from './policy-loop.ts';
import { shuffledBlocks, type Tried } from './racing.ts';
import { type Lesson, proposalIn, requestFor } from './reflection.ts';

const options = z.strictObject({
  name: z.literal('reflect').default('reflect'),
  prompts: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe('Prompts to begin with; the first human ones when left out'),
  starts: z.int().min(1).max(64).default(2).describe('Human prompts to begin with'),
  batchSize: z.int().min(1).max(64).default(4).describe('Children a step'),
  minibatchSize: z
    .int()
    .min(2)
    .max(1024)
    .default(16)
    .describe('Train examples on which a child must beat its parent'),
  mostExamples: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(64)
    .describe('Train examples that accepted prompts are scored on; a sample that is drawn once'),
  shown: z.int().min(1).max(32).default(4).describe('Failures that the policy LM reads'),
  acceptance: z
    .number()
    .gt(0)
    .max(1)
    .default(0.5)
    .describe('Highest one-sided p-value of a child; from 0.5 on any gain will do'),
  patience: z
    .int()
    .min(1)
    .max(10_000)
    .default(12)
    .describe('Steps without an accepted prompt after which the search ends'),
  maxCharacters: z.int().min(20).max(100_000).default(1200).describe('Longest prompt'),
  maxTokens: z.int().min(16).max(32_768).default(1024).describe('Most tokens of a proposal'),
  temperature: z.number().min(0).max(2).default(1).describe('Of the policy LM'),
});

type Options = z.infer<typeof options>;

interface Candidate extends Scored {
  readonly text: string;
}

interface Child {
  readonly parent: Candidate;
  readonly text: string;
  readonly blocks: readonly number[];
}

/** Proposals that may fail one after the other before the search gives up. */
const FAILURES_IN_A_ROW = 8;

export const reflect = method({
  name: 'reflect',
  summary: 'The policy LM reads failures and rewrites the prompt; a Pareto pool keeps what works.',
  options,
  needs: { taskLm: anyTaskLm, writer: true },
  leastEvaluations: (o, { train }) =>
    (o.prompts?.length ?? o.starts) * Math.min(o.mostExamples, train.length),
  // Parents and children on their minibatches, then all children on the sample.
  mostPerStep: (o, { train }) =>
    o.batchSize *
    (2 * Math.min(o.minibatchSize + EXAMPLES_PER_PASS, train.length) +
      Math.min(o.mostExamples + EXAMPLES_PER_PASS, train.length)),
  // A child costs a minibatch; those that come to nothing end the search after some steps.
  expectedProposals: (o, evaluations) => ({
    calls: Math.ceil(evaluations / o.minibatchSize) + o.patience * o.batchSize,
    examples: o.shown + 1,
    characters: o.maxCharacters + 2000,
    tokens: o.maxTokens,
  }),
  async *run(context: PromptContext, o) {
    const { environment, rng, budget } = context;
    const search = new Reflection(context, o, await context.writer!());
    const share = Math.min(1, o.mostExamples / environment.examples.length);
    const blocks = shuffledBlocks(environment, rng);
    const scored = blocks.slice(0, Math.max(1, Math.ceil(share * blocks.length)));
    const texts = o.prompts ?? humanCandidates(context.task).slice(0, o.starts);
    environment.checkRoom(texts);
    const tried = await search.adopt(texts, scored);
    yield { step: 1, tried, quantities: search.quantities() };
    for (let step = 2; budget.isOpen; step++) {
      const children = await search.propose();
      const { tried, accepted } = await search.judge(children);
      await search.adopt(accepted, scored);
      yield { step, tried, quantities: search.quantities() };
      const { end } = search;
      if (end !== undefined) {
        context.warn(`reflect: ends before its budget, ${end}`);
        return;
      }
    }
  },
});

class Reflection {
  private readonly context: PromptContext;
  private readonly options: Options;
  private readonly writer: TextModel;
  private readonly candidates: Candidate[] = [];
  private readonly seen = new Set<string>();
  private readonly counts = { proposed: 0, accepted: 0, tooLong: 0, repeated: 0, failed: 0 };
  private sample = 0;
  /** Steps without a failure to learn from, and without an accepted prompt. */
  private idle = 0;
  private stale = 0;
  private failuresInARow = 0;

  constructor(context: PromptContext, options: Options, writer: TextModel) {
    this.context = context;
    this.options = options;
    this.writer = writer;
  }

  /** Why nothing more is to be expected. */
  get end(): string | undefined {
    if (this.idle >= 3) return 'the prompts leave nothing to be mended on the train examples';
    const { patience } = this.options;
    return this.stale >= patience ? `no prompt was accepted in ${patience} steps` : undefined;
  }

  quantities(): Record<string, number> {
    const front = paretoFront(this.candidates);
    return { ...this.counts, candidates: this.candidates.length, front: front.length };
  }

  /** Scores prompts on the fixed sample, and keeps them as parents and for the run to choose among. */
  async adopt(texts: readonly string[], blocks: readonly number[]): Promise<Tried[]> {
    if (texts.length === 0) return [];
    const prompts = texts.map((text) => ({ text }));
    const scores = await this.context.environment.step(prompts, { blocks });
    return prompts.map((prompt, i) => {
      const score = scores[i]!;
      this.seen.add(prompt.text);
      this.candidates.push({ text: prompt.text, scores: byExample(score) });
      this.context.pool.add(prompt, score);
      return { prompt, score };
    });
  }

  /** New prompts, each written after what its parent got wrong on a minibatch. */
  async propose(): Promise<Child[]> {
    const { rng, task, signal } = this.context;
    const { batchSize, shown, maxCharacters, maxTokens, temperature } = this.options;
    const front = paretoFront(this.candidates);
    const pairs = Array.from({ length: batchSize }, () => ({
      parent: drawLeader(front, rng),
      blocks: this.drawBlocks(),
    }));
    await this.askAhead(pairs);
    const drawn: { parent: Candidate; blocks: readonly number[]; lessons: Lesson[] }[] = [];
    for (const pair of pairs) {
      const lessons = await this.lessonsOf(pair.parent, pair.blocks, shown);
      if (lessons.some(({ isRight }) => !isRight)) drawn.push({ ...pair, lessons });
    }
    this.idle = drawn.length === 0 ? this.idle + 1 : 0;
    const requests = drawn.map(({ parent, lessons }) => ({
      messages: requestFor({ task, prompt: parent.text, lessons, maxCharacters }),
      maxTokens,
      temperature,
      sample: this.sample++,
    }));
    const answers = requests.length > 0 ? await this.writer.complete(requests, { signal }) : [];
    return answers.flatMap((answer, i): Child[] => {
      if (isFailure(answer)) {
        this.counts.failed++;
        if (++this.failuresInARow >= FAILURES_IN_A_ROW) throw answer.error;
        return [];
      }
      this.failuresInARow = 0;
      this.counts.proposed++;
      const text = proposalIn(answer.text);
      if (text.length > maxCharacters) this.counts.tooLong++;
      else if (text === '' || this.seen.has(text)) this.counts.repeated++;
      else {
        this.seen.add(text);
        return [{ ...drawn[i]!, text }];
      }
      return [];
    });
  }

  /** The children that beat their parents on the minibatches that they were written after. */
  async judge(children: readonly Child[]): Promise<{ tried: Tried[]; accepted: string[] }> {
    const { environment, rng } = this.context;
    const tried: Tried[] = [];
    const accepted: string[] = [];
    await this.sideBySide(
      children.map(
        ({ text, blocks }) =>
          () =>
            environment.step([{ text }], { blocks }),
      ),
    );
    for (const { parent, text, blocks } of children) {
      const prompts = [{ text: parent.text }, { text }];
      const [before, after] = (await environment.step(prompts, { blocks })) as [
        PromptScore,
        PromptScore,
      ];
      tried.push({ prompt: { text }, score: after });
      if (!isBetter(after, before, { rng, limit: this.options.acceptance })) continue;
      this.counts.accepted++;
      accepted.push(text);
    }
    this.stale = accepted.length > 0 ? 0 : this.stale + 1;
    return { tried, accepted };
  }

  /** What the parents answer on their minibatches, each question once. */
  private async askAhead(
    pairs: readonly { readonly parent: Candidate; readonly blocks: readonly number[] }[],
  ): Promise<void> {
    const { environment } = this.context;
    const jobs = [...new Set(pairs.map(({ parent }) => parent))].map((parent) => () => {
      const blocks = pairs.flatMap((pair) => (pair.parent === parent ? pair.blocks : []));
      return environment.step([{ text: parent.text }], { blocks: [...new Set(blocks)] });
    });
    await this.sideBySide(jobs);
  }

  /** All at once where answers are waited for; one after the other where they are computed here. */
  private async sideBySide(jobs: readonly (() => Promise<unknown>)[]): Promise<void> {
    if (isOpen(this.context)) for (const job of jobs) await job();
    else await Promise.all(jobs.map((job) => job()));
  }

  private drawBlocks(): readonly number[] {
    const { blocks } = minibatch(this.context, this.options.minibatchSize);
    return blocks ?? [...Array(this.context.environment.blockCount).keys()];
  }

  /** Failures first, the worst of them; one success, so that it is kept. */
  private async lessonsOf(
    parent: Candidate,
    blocks: readonly number[],
    count: number,
  ): Promise<Lesson[]> {
    const { environment } = this.context;
    const [score] = (await environment.step([{ text: parent.text }], { blocks })) as [PromptScore];
    const right = answerScores(score, environment.examples);
    const order = [...right.keys()].sort((a, b) => score.rewards[a]! - score.rewards[b]!);
    const lesson = (at: number): Lesson => ({
      ...environment.answered(score, at),
      isRight: right[at] === 1,
    });
    const failures = order.filter((at) => right[at]! < 1).slice(0, count);
    const success = order.findLast((at) => right[at] === 1);
    return [...failures.map(lesson), ...(success === undefined ? [] : [lesson(success)])];
  }
}

function byExample({ examples, rewards }: PromptScore): Map<number, number> {
  return new Map(examples.map((example, i) => [example, rewards[i]!]));
}

/** A gain on the examples that both were scored on, one-sided p-value at most `limit`. */
function isBetter(
  child: PromptScore,
  parent: PromptScore,
  { rng, limit }: { rng: PromptContext['rng']; limit: number },
): boolean {
  const of = byExample(parent);
  const own = byExample(child);
  const both = [...own.keys()].filter((example) => of.has(example));
  if (both.length === 0) return false;
  const { meanDifference, pValue } = pairedPermutationTest(
    both.map((example) => own.get(example)!),
    both.map((example) => of.get(example)!),
    { rng },
  );
  return meanDifference > 0 && pValue / 2 <= limit;
}
