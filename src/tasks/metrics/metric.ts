/**
 * A metric: how good free-text outputs are against their gold answers, in [0, 1] each. What cannot be
 * judged (a judge that fails, a user's function that throws) is null, never zero.
 *
 * A definition is what a metric's file exports: its options, and how to open it. Configuration, help
 * and the table in docs/metrics.md derive from it.
 */
import type { z } from 'zod';
import { ConfigError } from '../../errors.ts';
import type { TextModel } from '../../providers/text-model.ts';
import { excerpt } from '../excerpt.ts';

/** One output to be judged. */
export interface Answer {
  readonly output: string;
  /** Answers that are right; at least one. */
  readonly golds: readonly string[];
  /** What the task LM was asked about. */
  readonly input: string;
}

export interface Metric {
  readonly name: string;
  /** Scores in [0, 1], in the order of the answers. */
  score(answers: readonly Answer[], signal?: AbortSignal): Promise<readonly (number | null)[]>;
  /**
   * The score of a whole set, where it is not the mean over its answers (BLEU, chrF).
   * @default the mean of the scores that are not null
   */
  corpus?(answers: readonly Answer[]): number;
  /**
   * Refuses gold answers that it cannot judge by, naming the first.
   * @throws ConfigError
   */
  check?(golds: readonly string[], place: string): void;
  /** Why the last score that is null is one, where that is known. */
  lastFailure?(): string | undefined;
}

/** One vector a text. */
export type Embed = (texts: readonly string[], signal?: AbortSignal) => Promise<Float32Array[]>;

/** What a metric may be given beside its options. */
export interface MetricContext {
  readonly embed?: Embed | undefined;
  readonly judge?: TextModel | undefined;
  /** The models that write prompts or answers: none of them may be the judge. */
  readonly proposers?: readonly Pick<TextModel, 'name' | 'key'>[] | undefined;
  /** Relative paths of options start here. @default the working directory */
  readonly folder?: string | undefined;
}

export interface MetricDefinition<Shape extends z.core.$ZodLooseShape = z.core.$ZodLooseShape> {
  readonly name: string;
  /** One sentence for help and forms. */
  readonly summary: string;
  /** Each with a default, if it can have one, and a description. */
  readonly options: Shape;
  /** What its context must hold. @default nothing */
  readonly needs?: readonly ('embed' | 'judge')[];
  open(options: OptionsOf<Shape>, context: MetricContext): Metric | Promise<Metric>;
}

export type OptionsOf<Shape extends z.core.$ZodLooseShape> = z.output<z.ZodObject<Shape>>;

/** Declares a metric; the type of its options comes from their schemas. */
export function metric<Shape extends z.core.$ZodLooseShape>(
  definition: MetricDefinition<Shape>,
): MetricDefinition<Shape> {
  return definition;
}

/** A metric that looks at one output at a time. */
export function eachAnswer(
  name: string,
  scoreOf: (answer: Answer) => number | null,
  rest: Pick<Metric, 'check' | 'corpus' | 'lastFailure'> = {},
): Metric {
  return {
    name,
    async score(answers, signal) {
      return answers.map((answer) => {
        signal?.throwIfAborted();
        return scoreOf(answer);
      });
    },
    ...rest,
  };
}

/** The score against the gold answer that fits best. */
export function bestOf(
  { output, golds }: Answer,
  compare: (output: string, gold: string) => number,
): number {
  return golds.reduce((best, gold) => Math.max(best, compare(output, gold)), 0);
}

/**
 * Refuses golds that a metric cannot judge by: "reviews.csv: …".
 * @throws ConfigError
 */
export function refuseGolds(
  golds: readonly string[],
  place: string,
  rule: { name: string; isFit: (gold: string) => boolean; wants: string; mend: string },
): void {
  const first = golds.findIndex((gold) => !rule.isFit(gold));
  if (first < 0) return;
  throw new ConfigError(
    `${place}: metric ${rule.name} needs ${rule.wants}, but gold answer ${first + 1} of ` +
      `${golds.length} is "${excerpt(golds[first]!)}"; ${rule.mend}`,
  );
}
