/** What `inspect` finds out about a prompt. Shares are between 0 and 1, logarithms natural. */
import type { SplitScore } from '../events.ts';
import type { Word } from './words.ts';

/** In three places: as a text of its own, after what a policy reads, in the template after inputs. */
export interface InPlaces {
  readonly alone: number;
  readonly afterContext: number;
  readonly inPlace: number;
}

export interface InspectedToken {
  readonly token: string;
  readonly id: number;
  readonly isSpecial: boolean;
  /** ln P under the policy LM; its tokens that end in this one, summed, where it divides otherwise. */
  readonly logProb: InPlaces;
  /** Accuracy with it less accuracy without it. */
  readonly importance: number;
  /** 95% bootstrap interval of it, over examples. */
  readonly interval: readonly [low: number, high: number];
  /** Reward with it less reward without it. */
  readonly rewardImportance: number;
  /** Most alike in the task LM's embedding table. */
  readonly nearest: readonly { readonly token: string; readonly cosine: number }[];
}

export interface Spread {
  readonly mean: number;
  readonly min: number;
  readonly max: number;
}

export interface OrderSensitivity {
  readonly permutations: number;
  readonly accuracy: Spread;
  readonly reward: Spread;
}

export interface FluentRewrite {
  readonly prompt: string;
  readonly score: SplitScore;
  readonly reward: number;
  /** After what a policy reads. */
  readonly perplexity: number;
  /** Its accuracy less the prompt's, and the 95% bootstrap interval of that. */
  readonly difference: number;
  readonly interval: readonly [low: number, high: number];
}

/** One model's row: `cause` says why there are no scores. */
export interface TransferRow {
  readonly model: string;
  /** Of the prompt; null beside a cause. */
  readonly score: SplitScore | null;
  readonly rewrite: SplitScore | null;
  /** Without any prompt. */
  readonly empty: SplitScore | null;
  readonly cause?: string;
}

export interface InspectResult {
  readonly kind: 'result';
  readonly prompt: string;
  readonly task: string;
  readonly taskLm: string;
  readonly policyLm: string;
  /** Examples scored on; the sealed test split is not opened. */
  readonly examples: {
    readonly train: number;
    readonly validation: number;
    readonly sealedTest: number;
  };
  readonly score: SplitScore;
  readonly reward: number;
  /** The score without any prompt. */
  readonly empty: SplitScore;
  readonly perplexity: InPlaces;
  readonly tokens: readonly InspectedToken[];
  /** Null where the prompt has no words. */
  readonly dictionaryShare: number | null;
  readonly words: readonly Word[];
  /** Null where there is no other order. */
  readonly order: OrderSensitivity | null;
  /** Most perplexity of a rewrite, after what a policy reads. */
  readonly perplexityLimit: number;
  /** Median of the built-in human prompts, read in the same place. */
  readonly humanPerplexity: number;
  /** How many rewrites were proposed, and how many of them were within the limit. */
  readonly rewrites: { readonly proposed: number; readonly fluent: number };
  /** The best of them; null where none was fluent. */
  readonly fluentRewrite: FluentRewrite | null;
  /** The task LM first, then the others asked for. */
  readonly transfer: readonly TransferRow[];
  readonly evaluations: number;
  readonly seconds: number;
}
