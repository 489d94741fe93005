/** The longest that a timer of JavaScript waits. */
const MOST_MS = 2 ** 31 - 1;

/**
 * Ends a search in the middle of a step when its time is over: `signal` is aborted then, as it is when
 * `outer` is. It stands still until it is set, for a search without a first step has nothing to show.
 */
export class SearchClock {
  readonly signal: AbortSignal;
  private readonly over = new AbortController();
  private timer: NodeJS.Timeout | undefined;

  constructor(outer: AbortSignal | undefined) {
    this.signal = outer ? AbortSignal.any([outer, this.over.signal]) : this.over.signal;
  }

  /** True once the time is over. */
  get isOver(): boolean {
    return this.over.signal.aborted;
  }

  /** So many seconds are left; none: what the method does of itself at its end may take its time. */
  set(secondsLeft: number): void {
    clearTimeout(this.timer);
    if (secondsLeft <= 0) return;
    const ms = Math.min(MOST_MS, 1000 * secondsLeft);
    this.timer = setTimeout(() => this.over.abort(), ms).unref();
  }

  stop(): void {
    clearTimeout(this.timer);
  }
}
