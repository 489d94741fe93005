/**
 * Graded rewards for label words that are answered in text: r = ½ hit + ½ P(the answer begins with
 * the gold word), where the task LM tells the likeliest first tokens. A right answer alone is 0 or 1
 * and often the same for many prompts; this tells them apart, from the same call. Whether a server
 * really tells them is found out with the first question, and said if not: then the hit is the reward.
 */
import { labelScores } from '../providers/label-scores.ts';
import {
  type CompleteOptions,
  type Completion,
  type Failure,
  isFailure,
  type TextModel,
  type TextRequest,
} from '../providers/text-model.ts';

/** For each word, the reward of an answer whose gold word it is. */
export type Grade = (gold: string, hit: number) => number;

export class GradedAnswers {
  private readonly words: readonly string[];
  private readonly warn: (message: string) => void;
  private isTold: boolean | undefined;

  constructor(words: readonly string[], warn: (message: string) => void) {
    this.words = words;
    this.warn = warn;
  }

  /** Asks, for alternatives too unless they are known not to come. */
  async complete(
    taskLm: TextModel,
    requests: readonly TextRequest[],
    options: CompleteOptions,
  ): Promise<readonly (Completion | Failure)[]> {
    const { alternatives } = taskLm;
    if (alternatives === undefined || this.isTold === false) {
      this.say(taskLm);
      return taskLm.complete(requests, options);
    }
    const graded = requests.map((request) => ({ ...request, alternatives }));
    if (this.isTold) return taskLm.complete(graded, options);
    const [first] = await taskLm.complete(graded.slice(0, 1), options);
    this.isTold = first !== undefined && !isFailure(first) && first.alternatives !== undefined;
    if (!this.isTold) {
      this.say(taskLm);
      return taskLm.complete(requests, options);
    }
    return [first!, ...(await taskLm.complete(graded.slice(1), options))];
  }

  /** What an answer is worth; undefined where it came without alternatives. */
  gradeOf({ alternatives }: Completion): Grade | undefined {
    if (alternatives === undefined || alternatives.length === 0) return undefined;
    const { logProbs } = labelScores(alternatives, this.words);
    return (gold, hit) => {
      const logProb = logProbs[this.words.indexOf(gold)] ?? null;
      return 0.5 * hit + 0.5 * (logProb === null ? 0 : Math.min(1, Math.exp(logProb)));
    };
  }

  private said = false;

  private say({ name }: TextModel): void {
    if (this.said) return;
    this.said = true;
    this.warn(
      `${name} tells no log-probabilities: an answer is worth 1 where it is right and 0 elsewhere, so that prompts of like accuracy are hard to tell apart`,
    );
  }
}
