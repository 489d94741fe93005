/**
 * What a run says while it works and at its end: one plain record an event, told apart by `kind`.
 * The same records are drawn on a terminal, printed as JSON Lines, and stored. A field once given
 * keeps its name and meaning.
 */
import type { SolutionKind } from '../methods/index.ts';
import type { LedgerLine } from '../providers/index.ts';
import type { Progress } from '../util/progress.ts';

/** A score on one split with its 95% interval; `score` is a share between 0 and 1. */
export interface SplitScore {
  readonly score: number;
  readonly interval: readonly [low: number, high: number];
  readonly examples: number;
  /** Examples beside them that have no score: no answer came, or it could not be judged. */
  readonly failed?: number;
  /** The metric's score of the whole set, where that is not the mean. */
  readonly corpus?: number;
  /** Where the reward is composed: what it is made of. */
  readonly reward?: RewardMeans;
}

/** A composed reward over examples: `mean` is correctness + format − lengthCost, but for clipping. */
export interface RewardMeans {
  readonly mean: number;
  readonly correctness: number;
  /** What the format added, where one is asked for. */
  readonly format?: number;
  /** What length took, where it has a price. */
  readonly lengthCost?: number;
  /** Where a format is asked for: numbers of examples; right from a score of 0.5 on. */
  readonly outcomes?: {
    readonly right: number;
    readonly wrongAnswer: number;
    readonly wrongFormat: number;
    readonly bothWrong: number;
  };
}

/** One prompt tried on one example. */
export interface Episode {
  readonly prompt: string;
  readonly input: string;
  /** What the task LM answered: the label word it prefers, or a text. */
  readonly answer: string;
  readonly gold: string;
  readonly reward: number;
}

export interface StartEvent {
  readonly kind: 'start';
  readonly runId: string;
  readonly method: string;
  readonly task: string;
  readonly taskLm: string;
  readonly policyLm: string;
  /** Numbers of examples. */
  readonly examples: { readonly train: number; readonly validation: number; readonly test: number };
  readonly seed: number;
}

export interface StepEvent {
  readonly kind: 'step';
  readonly step: number;
  /** Mean reward of the step's prompts. */
  readonly reward: number;
  /** Mean entropy of the policy per token, in nats; absent for methods without a policy. */
  readonly entropy?: number;
  readonly bestPrompt: string;
  readonly bestReward: number;
  readonly promptsPerSecond: number;
  /** Task-LM example evaluations so far. */
  readonly evaluations: number;
  /** Share of the budget that is spent, 0 to 1. */
  readonly spent?: number;
  readonly secondsLeft?: number;
  readonly episode?: Episode;
  /** Where fluency has a price: what the step's prompts paid. */
  readonly fluency?: StepFluency;
  /** Where the reward is composed: its parts, over the step's prompts. */
  readonly parts?: RewardMeans;
  /** What else the method measured, by stable names: docs/methods explains each. */
  readonly quantities?: Readonly<Record<string, number>>;
}

/** A step's prompts: `reward` of the step is `taskReward` less `penalty`. */
export interface StepFluency {
  /** Geometric mean. */
  readonly perplexity: number;
  readonly taskReward: number;
  readonly penalty: number;
  /** Perplexity of the best prompt so far. */
  readonly best?: number;
}

/** A prompt was scored on the validation split. */
export interface ValidationEvent {
  readonly kind: 'validation';
  readonly prompt: string;
  readonly validation: SplitScore;
  readonly step?: number;
}

export type ProgressEvent = { readonly kind: 'progress' } & Progress;

export interface WarningEvent {
  readonly kind: 'warning';
  readonly message: string;
}

/** A line of the final table. */
export interface ResultRow {
  /** "a human prompt", "best of 24 human prompts", "soft-q". */
  readonly method: string;
  readonly prompt: string;
  readonly validation: SplitScore;
  readonly test: SplitScore;
  /** Where fluency has a price. */
  readonly perplexity?: number;
}

export interface OptimizeResult {
  readonly kind: 'result';
  readonly method: string;
  /** A text to paste, a tensor for an open model, or changed weights. */
  readonly kindOfResult: SolutionKind;
  /** The text; of a tensor, one line that says what it is. */
  readonly prompt: string;
  /** Token ids of the prompt as text, tokenised afresh. */
  readonly promptTokens: readonly number[];
  /** The template that the text stands in, where that is not the task's own. */
  readonly template?: string;
  /** Where a tensor was saved. */
  readonly files?: readonly string[];
  readonly train: SplitScore;
  readonly validation: SplitScore;
  readonly test: SplitScore;
  readonly evaluations: number;
  readonly seconds: number;
  readonly runId: string;
  /** Where answers are text: what the scores are. */
  readonly metric?: string;
  /**
   * What models that answer in text took, all roles together; zeros where none was asked. Runs that
   * were recorded by 0.1.0 may have none.
   */
  readonly ledger?: LedgerLine;
  /** Where fluency had a price: what it took. */
  readonly fluency?: FluencyPrice;
  /** Other prompts measured the same way, for comparison; the found one is the last. */
  readonly rows?: readonly ResultRow[];
}

/** What fluency took from the chosen prompt's reward, on train and validation. */
export interface FluencyPrice {
  readonly weight: number;
  readonly maxPerplexity?: number;
  readonly perplexity: number;
  /** The reward that it was chosen by: `taskReward` less `penalty`. */
  readonly reward: number;
  readonly taskReward: number;
  readonly penalty: number;
  /** The finalist that would have been chosen had fluency been free, where it is another. */
  readonly unpriced?: {
    readonly prompt: string;
    readonly perplexity: number;
    readonly taskReward: number;
    readonly validation: SplitScore;
  };
}

export interface EvaluateResult {
  readonly kind: 'result';
  readonly prompt: string;
  readonly split: SplitName;
  readonly score: number;
  readonly interval: readonly [low: number, high: number];
  readonly examples: number;
  readonly failed?: number;
  readonly corpus?: number;
  readonly reward?: RewardMeans;
  /** Empty where answers are free text. */
  readonly perClass: readonly ClassScore[];
  readonly metric?: string;
  readonly ledger: LedgerLine;
  /** Whether the thresholds that were given are reached. */
  readonly isReached?: boolean;
}

export interface ClassScore {
  readonly gold: string;
  readonly word: string;
  readonly examples: number;
  readonly recall: number;
}

export interface ScoreResult {
  readonly kind: 'result';
  /** Ids of the text, with what the model itself puts around it. */
  readonly tokens: readonly number[];
  readonly top: readonly {
    readonly id: number;
    readonly token: string;
    readonly logProb: number;
  }[];
}

export interface ErrorEvent {
  readonly kind: 'error';
  readonly code: string;
  readonly message: string;
}

export type SplitName = 'train' | 'validation' | 'test';

export type RunEvent =
  | StartEvent
  | StepEvent
  | ValidationEvent
  | ProgressEvent
  | WarningEvent
  | OptimizeResult
  | ErrorEvent;

export type OnEvent = (event: RunEvent) => void;
