/**
 * How long the end of a run will take, judged by its beginning: the human prompts are scored first,
 * in the same precision and on the same examples as the finalists later. A run that promises when it
 * ends shortens its search by that, and takes fewer finalists and test examples where even so too
 * little time is left.
 */

/** A prompt on an example is a few tokens; the example itself, read once a scoring, as many as these. */
const PROMPTS_PER_EXAMPLE = 4;
/** What estimates are off by, machines that others use at the same time included. */
const MARGIN = 1.15;
/** A search is not shortened below this. */
const LEAST_SEARCH_S = 15;

export interface Pace {
  /** What scoring the human prompts took, loading included. */
  readonly seconds: number;
  readonly prompts: number;
  /** Train and validation examples that they were scored on. */
  readonly examples: number;
}

/** Seconds that scoring `prompts` on `examples` will take. */
export function secondsFor(pace: Pace, prompts: number, examples: number): number {
  const work = (p: number, e: number) => e * (PROMPTS_PER_EXAMPLE + p);
  return (MARGIN * pace.seconds * work(prompts, examples)) / work(pace.prompts, pace.examples);
}

/** Minutes of search that leave time for finalists and test within `secondsLeft`. */
export function minutesOfSearch(
  pace: Pace,
  plan: { minutes: number; secondsLeft: number; finalists: number; testExamples: number },
): number {
  const end =
    secondsFor(pace, plan.finalists, pace.examples) + secondsFor(pace, 3, plan.testExamples);
  return Math.min(plan.minutes, Math.max(LEAST_SEARCH_S, plan.secondsLeft - end) / 60);
}

/** Finalists (at least 4) and test examples (at least 100) that can be scored within `secondsLeft`. */
export function affordableEnd(
  pace: Pace,
  plan: { secondsLeft: number; finalists: number; testExamples: number },
): { finalists: number; testExamples: number } {
  let { finalists, testExamples } = plan;
  const needed = () =>
    secondsFor(pace, finalists, pace.examples) + secondsFor(pace, 3, testExamples);
  while (finalists > 4 && needed() > plan.secondsLeft) finalists--;
  while (testExamples > 100 && needed() > plan.secondsLeft) testExamples--;
  return { finalists, testExamples };
}
