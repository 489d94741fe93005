/**
 * How long the end of a run will take, judged by its beginning: the human prompts are scored first,
 * in the same precision and on the same examples as the finalists later. A run that promises when it
 * ends shortens its search by that, and takes fewer texts into the choice where even so too little
 * time is left. The finalists tell the pace once more, and how many test examples there is time for.
 */

/** A prompt on an example is a few tokens; the example itself, read once a scoring, as many as these. */
const PROMPTS_PER_EXAMPLE = 4;
/** What estimates are off by, machines that others use at the same time included. */
const MARGIN = 1.15;
/** What was found, and two human prompts. */
const TESTED = 3;
/** A search is not shortened below this. */
const LEAST_SEARCH_S = 15;

export interface Pace {
  /** What scoring some prompts took, loading included. */
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

/** What comes after a search. */
export interface End {
  /** Texts that are looked at, in the precision of the search, on so many examples. */
  readonly semifinalists: number;
  readonly shortlistExamples: number;
  /** How many times as fast as float32 that precision is, at least. */
  readonly shortlistSpeed: number;
  /** Texts that are scored again. */
  readonly finalists: number;
  readonly testExamples: number;
}

/** Seconds from the end of a search to the result. */
export function secondsOfEnd(pace: Pace, end: End): number {
  return (
    secondsFor(pace, end.semifinalists, end.shortlistExamples) / end.shortlistSpeed +
    secondsFor(pace, end.finalists, pace.examples) +
    secondsFor(pace, TESTED, end.testExamples)
  );
}

/**
 * Minutes of search that leave time for what comes after it within `secondsLeft`, for half of the
 * semifinalists at least: the other half is worth less than the search.
 */
export function minutesOfSearch(
  pace: Pace,
  plan: End & { minutes: number; secondsLeft: number },
): number {
  const end = secondsOfEnd(pace, { ...plan, semifinalists: plan.semifinalists / 2 });
  const seconds = Math.max(LEAST_SEARCH_S, plan.secondsLeft - end);
  return Math.min(plan.minutes, seconds / 60);
}

/**
 * What can be done within `secondsLeft`: fewer semifinalists first (as many as finalists are left),
 * then fewer finalists (at least 4), then fewer test examples (at least 100).
 */
export function affordableEnd(pace: Pace, plan: End & { secondsLeft: number }): End {
  const { secondsLeft, ...end } = plan;
  const isLate = () => secondsOfEnd(pace, end) > secondsLeft;
  while (end.semifinalists > end.finalists && isLate()) end.semifinalists--;
  while (end.finalists > 4 && isLate()) {
    end.finalists--;
    end.semifinalists = Math.min(end.semifinalists, end.finalists);
  }
  const testExamples = affordableTest(pace, { ...plan, secondsLeft: secondsLeft - secondsOfEnd(pace, { ...end, testExamples: 0 }) }); // biome-ignore format: one value
  return { ...end, testExamples };
}

/** Test examples (at least 100, where there are so many) that can be scored within `secondsLeft`. */
export function affordableTest(
  pace: Pace,
  plan: { secondsLeft: number; testExamples: number },
): number {
  let { testExamples } = plan;
  while (testExamples > 100 && secondsFor(pace, TESTED, testExamples) > plan.secondsLeft) {
    testExamples--;
  }
  return testExamples;
}
