/**
 * A metric: how good free-text outputs are against their gold answers, in [0, 1] each. What cannot be
 * judged (a judge that fails, a user's function that throws) is null, never zero.
 */

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
}
