import { BudgetError } from '../errors.ts';
import type { Totals } from '../providers/index.ts';
import { formatCount } from '../util/format.ts';

/** A search's own limit is reached: it ends with what it has found. */
export class SpentError extends BudgetError {}

/** Its minutes are over, in the middle of a step. */
export class TimeOverError extends SpentError {}

/** How much a method may spend: task-LM example evaluations, minutes, tokens and money, whichever ends first. */
export interface BudgetLimits {
  readonly evaluations?: number | undefined;
  readonly minutes?: number | undefined;
  /** Calls of models that answer in text, of all roles. */
  readonly calls?: number | undefined;
  /** Tokens read and written by them. */
  readonly tokens?: number | undefined;
  /** US dollars; 0: nothing is paid for, and nothing is limited. */
  readonly usd?: number | undefined;
}

export class Budget {
  private limits: BudgetLimits;
  private readonly spentEvaluations: () => number;
  private readonly now: () => number;
  private readonly spentOn: () => Totals;
  private readonly signal: AbortSignal | undefined;
  private readonly isHard: boolean;
  private readonly startedMs: number;
  private extraEvaluations = 0;
  private hasStepped = false;

  constructor(
    limits: BudgetLimits,
    spentEvaluations: () => number,
    {
      now = () => performance.now(),
      signal,
      spentOn = () => ({ calls: 0, tokens: 0, usd: 0 }),
      isHard = false,
    }: {
      now?: () => number;
      signal?: AbortSignal | undefined;
      spentOn?: () => Totals;
      /** Whether evaluations are questions that are sent, none of which may be one too many. */
      isHard?: boolean;
    } = {},
  ) {
    this.limits = limits;
    this.spentEvaluations = spentEvaluations;
    this.now = now;
    this.signal = signal;
    this.spentOn = spentOn;
    this.isHard = isHard;
    this.startedMs = now();
  }

  /**
   * Counts work outside of the environments, in task-LM example evaluations: a forward pass of one
   * example is one, forward and backward are three.
   */
  spend(evaluations: number): void {
    this.extraEvaluations += evaluations;
  }

  /** Goes on from a number of evaluations that an earlier process had counted. */
  goOn(evaluations: number): void {
    this.extraEvaluations = evaluations - this.spentEvaluations();
    this.hasStepped = true;
  }

  /** A step was reported: from here on time ends the search, too. */
  stepped(): void {
    this.hasStepped = true;
  }

  /** Other limits from here on; what is spent stays spent. */
  limit(limits: BudgetLimits): void {
    this.limits = limits;
  }

  /** Task-LM example evaluations so far. */
  get evaluations(): number {
    return this.spentEvaluations() + this.extraEvaluations;
  }

  /** Evaluations that it may still spend; infinite where only something else ends it. */
  get evaluationsLeft(): number {
    return (this.limits.evaluations ?? Number.POSITIVE_INFINITY) - this.evaluations;
  }

  /**
   * Asked before questions are sent, which count from then on. @throws SpentError when they do not fit
   */
  reserve(evaluations: number): void {
    const left = this.evaluationsLeft;
    if (!this.isHard || evaluations <= left) return;
    throw new SpentError(
      `budget.evaluations: the search's next ${formatCount(evaluations)} calls do not fit, ${formatCount(Math.max(0, left))} of ${formatCount(this.limits.evaluations!)} are left; raise budget.evaluations`,
    );
  }

  /** How many steps of so many evaluations still fit; infinite where the last one may pass the limit. */
  fitting(evaluations: number): number {
    if (!this.isHard) return Number.POSITIVE_INFINITY;
    return Math.floor(Math.max(0, this.evaluationsLeft) / evaluations);
  }

  get seconds(): number {
    return (this.now() - this.startedMs) / 1000;
  }

  /** Seconds until time ends the search; infinite before its first step. */
  get timeLeft(): number {
    const { minutes } = this.limits;
    return this.hasStepped && minutes ? 60 * minutes - this.seconds : Number.POSITIVE_INFINITY;
  }

  /** Share that is spent, 0 to 1 and above. */
  get spent(): number {
    const { minutes } = this.limits;
    return Math.max(this.spentButTime, minutes ? this.seconds / (60 * minutes) : 0);
  }

  private get spentButTime(): number {
    const { evaluations, calls, tokens, usd } = this.limits;
    const cost = this.spentOn();
    return Math.max(
      calls ? cost.calls / calls : 0,
      tokens ? cost.tokens / tokens : 0,
      usd ? cost.usd / usd : 0,
      evaluations ? this.evaluations / evaluations : 0,
    );
  }

  /**
   * True while another step may begin. However slow the machine, the first one may: a search that
   * only prepared itself would leave nothing to show. @throws AbortError when the run was cancelled
   */
  get isOpen(): boolean {
    this.signal?.throwIfAborted();
    return (this.hasStepped ? this.spent : this.spentButTime) < 1;
  }

  /** Seconds that are left, judged by what has been spent so far. */
  get secondsLeft(): number | undefined {
    const { spent } = this;
    return spent > 0 ? Math.max(0, this.seconds / spent - this.seconds) : undefined;
  }
}
