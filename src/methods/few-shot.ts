/**
 * Few-shot prompts: which train examples to show, and in which order. Random sets are compared by
 * successive halving; the best is changed by one example or by the order of two, as long as that
 * helps; then new sets are drawn.
 *
 * Demonstrations come from one part of the train split and are scored on the other. Leaving out of
 * a score only what a set shows would not do: the search would then show the examples that the
 * task LM gets wrong, to be rid of them.
 *
 * Source: order matters, Lu et al. 2022 (arXiv 2104.08786); choice matters, Zhang et al. 2022
 * (arXiv 2211.04486). Deviation: a local search by train reward, no entropy of label distributions
 * and no learned policy.
 */
import { z } from 'zod';
import {
  type Environment,
  type PromptScore,
  type PromptScorer,
  readable,
} from '../environment/index.ts';
import { ConfigError, DataError } from '../errors.ts';
import { textKey } from '../tasks/duplicates.ts';
import { excerpt } from '../tasks/excerpt.ts';
import { apportion, sampleStratified, splitStratified } from '../tasks/split.ts';
import type { AnyExample, AnyTask, Example, TextExample, TextTask } from '../tasks/task.ts';
import {
  Drawer,
  demonstrate,
  demonstrateText,
  type Shape,
  type Shown,
  templateWith,
} from './demonstrations.ts';
import { ordinaryPrompt } from './human-prompts.ts';
import {
  anyTaskLm,
  isOpen,
  type MethodContext,
  method,
  type PromptContext,
  type StepReport,
} from './method.ts';
import { finishRace, firstRound, mostExamples, type Tried } from './racing.ts';
import type { Placement } from './solution.ts';

const options = z.strictObject({
  name: z.literal('few-shot').default('few-shot'),
  shots: z.int().min(1).max(64).default(4).describe('Demonstrations of a prompt'),
  balanced: z.boolean().default(true).describe('Of each class as many, as far as there are'),
  maxTokens: z.int().min(1).max(100_000).default(256).describe('Most tokens of demonstrations'),
  prompt: z
    .string()
    .optional()
    .describe('Prompt at the input and in every demonstration; a plain human one when left out'),
  separator: z
    .string()
    .optional()
    .describe('Text between demonstrations; an empty line, for masked LMs a space'),
  share: z
    .number()
    .min(0.05)
    .max(0.95)
    .default(0.5)
    .describe('Share of the train split to show; the rest gives the rewards'),
  mostExamples,
  draws: z.int().min(1).max(1024).default(16).describe('Random sets that are compared at first'),
  batchSize: z.int().min(1).max(256).default(8).describe('Changed sets a step'),
  patience: z
    .int()
    .min(1)
    .max(1000)
    .default(4)
    .describe('Steps without a better set after which new ones are drawn'),
});

type Options = z.infer<typeof options>;

/** Sets of demonstrations, and what scores them. */
interface Showing<E extends AnyExample> {
  readonly drawer: Drawer<E>;
  readonly environment: PromptScorer;
  readonly placement: Placement;
  /** Place in the train split of an example that gives the rewards. */
  placeOf(example: number): number;
}

export const fewShot = method({
  name: 'few-shot',
  summary: 'Choice and order of demonstrations: random sets by racing, then local changes.',
  options,
  leastEvaluations(o, { train }) {
    const scored = Math.min(o.mostExamples, scoredOf(train, o.share));
    const size = { firstBlocks: 1, blockSize: blockSize(scored) };
    return Math.min(o.draws, orders(o.shots)) * firstRound(scored, size);
  },
  needs: { taskLm: anyTaskLm },
  check(o, { task }) {
    refuseLoneExamples(task);
    return o;
  },
  async *run(context: PromptContext, o) {
    refuseLoneExamples(context.task);
    if (isOpen(context)) yield* climb(context, o, await showingOf(context, o));
    else yield* climb(context, o, textShowing(context, o));
  },
});

async function* climb<E extends AnyExample>(
  context: PromptContext,
  o: Options,
  { drawer, environment, placement, placeOf }: Showing<E>,
): AsyncGenerator<StepReport> {
  const { rng, budget } = context;
  const allBlocks = Array.from({ length: environment.blockCount }, (_, block) => block);
  let best: Tried<Shown<E>> | undefined;
  let stale = 0;
  for (let step = 1; budget.isOpen; step++) {
    let sets = best && stale < o.patience ? drawer.neighbours(best.prompt, o.batchSize) : [];
    const isFresh = sets.length === 0;
    if (isFresh) sets = drawer.draw(o.draws);
    if (sets.length === 0) {
      context.warn(`few-shot: all sets of ${o.shots} demonstrations that fit were tried`);
      return;
    }
    const blocks = rng.shuffle(allBlocks);
    const race = { ...context, environment, blocks, placement, firstBlocks: 1, atLeast: 2 };
    const { tried, finalists } = await finishRace(sets, race);
    const leader = finalists[0];
    if (leader && (isFresh || leader.score.reward > best!.score.reward)) {
      best = leader;
      stale = 0;
    } else stale++;
    yield {
      step,
      tried: tried.map(({ prompt, score }) => ({ prompt, score: withPlaces(score, placeOf) })),
      quantities: {
        isFresh: Number(isFresh),
        finalists: finalists.length,
        ...(best ? { current: best.score.reward, tokens: drawer.tokensOf(best.prompt) } : {}),
      },
    };
  }
}

async function showingOf(context: MethodContext, o: Options): Promise<Showing<Example>> {
  const { task, rng, taskLm } = context;
  const isMasked = taskLm.config.kind === 'masked';
  const shape: Shape = {
    prompt: o.prompt ?? ordinaryPrompt(task),
    separator: o.separator ?? (isMasked ? ' ' : '\n\n'),
  };
  const { shown, scored, leftOut } = partsOf(context, o);
  const template = templateWith(task, shape);
  const environment = context.environmentWith(template, {
    examples: scored,
    examplesPerPass: blockSize(scored.length),
  });
  const drawer = new Drawer({
    groups: o.balanced
      ? task.classes.map((_, label) => shown.filter((example) => example.label === label))
      : [shown],
    shots: o.shots,
    limit: Math.min(o.maxTokens, roomFor(context, environment)),
    rng,
    render(examples) {
      const sets = examples.map((example) => demonstrate(task, example, shape.prompt));
      const text = sets.join(shape.separator);
      return { text, ids: environment.layout.prompt(text) };
    },
    tokensOf: ({ ids }) => ids!.length,
  });
  const places = placesIn(task.train);
  return {
    drawer,
    environment,
    placement: { template, leftOut },
    placeOf: (e) => places.get(scored[e]!)!,
  };
}

/** Where the task LM is asked in text: base prompt and demonstrations are the prompt. */
function textShowing(context: PromptContext, o: Options): Showing<TextExample> {
  const { rng } = context;
  const task = context.task as TextTask;
  const base = o.prompt ?? ordinaryPrompt(task);
  const separator = o.separator ?? '\n\n';
  const parts = [
    { name: 'shown', share: o.share },
    { name: 'scored', share: 1 - o.share },
  ];
  const golds = task.labelWords ?? ['any'];
  const [shown, rest] = splitStratified(task.train, parts, rng.fork('parts'), { golds });
  const { others, repeats } = apart(rest!, shown!, readable);
  const scored = sampleStratified(others, o.mostExamples, rng.fork('scored'));
  const environment = context.environmentWith(task.template.source, { examples: scored });
  const labels = [...new Set(shown!.map(({ label }) => label))];
  const drawer = new Drawer({
    groups: o.balanced ? labels.map((l) => shown!.filter(({ label }) => label === l)) : [shown!],
    shots: o.shots,
    limit: o.maxTokens,
    rng,
    render: (examples) => ({ text: [base, ...examples.map(demonstrateText)].join(separator) }),
    // Whose tokens would be counted is not known: four characters a token is what English takes.
    tokensOf: ({ text }) => Math.ceil((text.length - base.length) / 4),
  });
  const places = placesIn(task.train);
  return {
    drawer,
    environment,
    placement: { leftOut: [...shown!, ...repeats].map(({ id }) => id) },
    placeOf: (e) => places.get(scored[e]!)!,
  };
}

function placesIn<E>(examples: readonly E[]): Map<E, number> {
  return new Map(examples.map((example, i) => [example, i]));
}

/** A prompt is read anew for every block: few blocks, but enough to compare on a part of them. */
function blockSize(examples: number): number {
  return Math.min(32, Math.max(8, Math.ceil(examples / 2)));
}

/** Orders of a set, each of which is a set of its own. */
function orders(shots: number): number {
  return shots < 2 ? 1 : shots * orders(shots - 1);
}

/** Examples that `partsOf` leaves to give the rewards. */
function scoredOf(train: readonly AnyExample[], share: number): number {
  return [...countsOf(train).values()].reduce(
    (sum, n) => sum + apportion(n, [share, 1 - share])[1]!,
    0,
  );
}

/** Examples by label. */
function countsOf(train: readonly AnyExample[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const { label = 0 } of train) counts.set(label, 1 + (counts.get(label) ?? 0));
  return counts;
}

/** @throws DataError naming the first label with a single train example: it needs one to show and one to score on */
function refuseLoneExamples(task: AnyTask): void {
  const lone = [...countsOf(task.train)].find(([, count]) => count === 1)?.[0];
  if (lone === undefined) return;
  const golds = task.kind === 'text' ? task.labelWords : task.classes.map(({ gold }) => gold);
  const what = golds ? `label "${excerpt(golds[lone]!)}"` : `task ${task.name}`;
  throw new DataError(
    `few-shot: ${what} has 1 train example, expected at least 2, one to show and one to score on; add train examples, raise task.shots, or take another method`,
  );
}

/** Examples beside the shown ones: those with a text of their own, and those that repeat a shown one's. */
function apart<E>(rest: readonly E[], shown: readonly E[], textOf: (example: E) => string) {
  const texts = new Set(shown.map((example) => textKey(textOf(example))));
  const isRepeat = (example: E) => texts.has(textKey(textOf(example)));
  return { others: rest.filter((example) => !isRepeat(example)), repeats: rest.filter(isRepeat) };
}

/** The train split in two: what may be shown, and what gives the rewards. */
function partsOf({ task, rng, taskLm }: MethodContext, { share, mostExamples: most }: Options) {
  const parts = [
    { name: 'shown', share },
    { name: 'scored', share: 1 - share },
  ];
  const golds = task.classes.map(({ gold }) => gold);
  const [all, rest] = splitStratified(task.train, parts, rng.fork('parts'), { golds });
  const { mask } = taskLm.tokenizer.special;
  // A masked LM answers at the one mask of a text.
  const isClean = ({ input }: Example) =>
    mask === undefined || !taskLm.tokenizer.encode(input).includes(mask);
  const shown = all!.filter(isClean);
  const { others, repeats } = apart(rest!, shown, ({ input }) => input);
  return {
    shown,
    scored: sampleStratified(others, most, rng.fork('scored')),
    leftOut: [...shown, ...repeats].map(({ id }) => id),
  };
}

/**
 * Tokens that are left for demonstrations beside the longest text of any split: of the sealed one
 * the length is looked at, no more.
 * @throws ConfigError when there are none
 */
function roomFor(
  { task, taskLm }: MethodContext,
  { layout, task: { template } }: Environment,
): number {
  const { tokenizer, config, name } = taskLm;
  const fixed = Buffer.byteLength(template.source) + 64;
  let longest = 0;
  const look = ({ input }: Example) => {
    // A token is a byte at least: short texts need no tokenising.
    if (Buffer.byteLength(input) + fixed > longest) {
      longest = Math.max(longest, layout.whole(input, '').length);
    }
  };
  for (const example of [...task.train, ...task.validation]) look(example);
  task.test.check(look);
  const words = task.classes.map(({ word }) => tokenizer.encode(` ${word}`).length);
  const room = config.contextLength - longest - Math.max(...words);
  if (room > 0) return room;
  throw new ConfigError(
    `few-shot: the longest example has ${longest} tokens of the ${config.contextLength} that ${name} reads, there is no room for demonstrations`,
  );
}

/** The score with its examples named by their places in the train split. */
function withPlaces(score: PromptScore, placeOf: (example: number) => number): PromptScore {
  return { ...score, examples: score.examples.map(placeOf) };
}
