/**
 * The gate before one server, key and model: how many requests are under way, how many the limits
 * that its answers tell allow, and until when it has asked to be left alone. First come, first
 * served, so that no large request starves. No hedging: a request is never sent twice side by side.
 */
import { formatSeconds } from '../util/format.ts';
import { Bucket } from './bucket.ts';
import { type Headers, type LimitKind, readLimits } from './rate-limits.ts';

export interface SchedulerOptions {
  /** As the sentences about waiting name it. */
  readonly name: string;
  /** Most requests under way. */
  readonly concurrency: number;
  readonly requestsPerMinute?: number | undefined;
  readonly tokensPerMinute?: number | undefined;
}

/** What a request counts against the limits: estimates. */
export interface Load {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** Leave to send one request. */
export interface Ticket {
  /** The request was answered, with these headers, or failed on its way. */
  done(headers?: Headers): void;
  /** The request was not sent. */
  cancel(): void;
}

interface Waiting {
  readonly load: Load;
  grant(): void;
}

export class Scheduler {
  readonly name: string;
  readonly concurrency: number;
  /** Clock readings (performance.now) of the last answer; -Infinity before the first. */
  lastAnswerAt = Number.NEGATIVE_INFINITY;
  readonly #buckets = new Map<LimitKind, Bucket>();
  /** The loads under way, for a bucket that is learned of while they are. */
  readonly #loads = new Set<Load>();
  readonly #watchers = new Set<(reason: string) => void>();
  #free: number;
  #slots: (() => void)[] = [];
  #queue: Waiting[] = [];
  #pausedUntil = 0;
  #timer: NodeJS.Timeout | undefined;
  #sequence = 0;

  constructor(options: SchedulerOptions) {
    this.name = options.name;
    this.concurrency = options.concurrency;
    this.#free = options.concurrency;
    const now = performance.now();
    for (const [kind, limit] of [
      ['requests', options.requestsPerMinute],
      ['tokens', options.tokensPerMinute],
    ] as const) {
      if (limit !== undefined) this.#buckets.set(kind, new Bucket(limit, limit / 60_000, now));
    }
  }

  get hasAnswered(): boolean {
    return this.lastAnswerAt > Number.NEGATIVE_INFINITY;
  }

  /** Takes one of the places for calls under way; the result gives it back. */
  async slot(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#free > 0) this.#free--;
    else await queued(this.#slots, signal, (grant) => grant);
    return () => {
      const next = this.#slots.shift();
      if (next) next();
      else this.#free++;
    };
  }

  /** Waits until the server may be asked. */
  async admit(load: Load, signal: AbortSignal): Promise<Ticket> {
    signal.throwIfAborted();
    const mine = { ...load }; // an identity of its own
    if (this.#queue.length > 0 || this.#waitMs(mine) > 0) {
      const granted = queued(this.#queue, signal, (grant): Waiting => ({ load: mine, grant }));
      this.#pump();
      await granted;
    } else this.#take(mine);
    const sequence = ++this.#sequence;
    return {
      done: (headers) => {
        const now = performance.now();
        this.#loads.delete(mine);
        for (const [kind, bucket] of this.#buckets) bucket.spend(costOf(load, kind), now);
        if (headers) this.#learn(headers, sequence, now);
        this.#pump();
      },
      cancel: () => {
        this.#loads.delete(mine);
        for (const [kind, bucket] of this.#buckets) bucket.giveBack(costOf(load, kind));
        this.#pump();
      },
    };
  }

  /** Sends nothing for a time that the server asked for. */
  pause(ms: number): void {
    // A millisecond more: timers and clocks round, and early is the one thing not to be.
    this.#pausedUntil = Math.max(this.#pausedUntil, performance.now() + ms + 1);
  }

  /** Why nothing is sent, if anything waits: "rate limit of openai, 4 s". */
  waitingFor(): string | undefined {
    const first = this.#queue[0];
    if (!first) return undefined;
    const ms = this.#waitMs(first.load);
    const time = ms > 0 && ms < Number.POSITIVE_INFINITY ? `, ${seconds(ms)}` : '';
    return `rate limit of ${this.name}${time}`;
  }

  /** Tells reasons for waiting as they arise; the result ends it. */
  watch(watcher: (reason: string) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** Passes a reason for waiting on to those who watch. */
  tell(reason: string): void {
    for (const watcher of this.#watchers) watcher(reason);
  }

  #take(load: Load): void {
    this.#loads.add(load);
    for (const [kind, bucket] of this.#buckets) bucket.take(costOf(load, kind));
  }

  #waitMs(load: Load): number {
    const now = performance.now();
    let ms = Math.max(0, this.#pausedUntil - now);
    for (const [kind, bucket] of this.#buckets) {
      ms = Math.max(ms, bucket.waitMs(costOf(load, kind), now));
    }
    return ms;
  }

  #learn(headers: Headers, sequence: number, now: number): void {
    for (const told of readLimits(headers)) {
      let bucket = this.#buckets.get(told.kind);
      if (!bucket) {
        bucket = new Bucket(told.limit, 0, now);
        for (const load of this.#loads) bucket.take(costOf(load, told.kind));
        this.#buckets.set(told.kind, bucket);
      }
      bucket.learn(told, sequence, now);
    }
  }

  /** Lets those in who may go, and sets the clock for the next. */
  #pump(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (let first = this.#queue[0]; first; first = this.#queue[0]) {
      const ms = this.#waitMs(first.load);
      if (ms > 0) {
        if (ms < Number.POSITIVE_INFINITY) {
          this.#timer = setTimeout(() => this.#pump(), Math.min(ms, 2 ** 31 - 1));
          if (ms > 1000) this.tell(this.waitingFor()!);
        }
        return;
      }
      this.#queue.shift();
      this.#take(first.load);
      first.grant();
    }
  }
}

/** Stands in a queue until granted; leaves it when the signal says so. */
function queued<T>(
  queue: T[],
  signal: AbortSignal,
  place: (grant: () => void) => T,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = () => {
      const at = queue.indexOf(mine);
      if (at >= 0) queue.splice(at, 1);
      reject(signal.reason);
    };
    const mine = place(() => {
      signal.removeEventListener('abort', leave);
      resolve();
    });
    signal.addEventListener('abort', leave, { once: true });
    queue.push(mine);
  });
}

function costOf(load: Load, kind: LimitKind): number {
  if (kind === 'requests') return 1;
  if (kind === 'inputTokens') return load.inputTokens;
  if (kind === 'outputTokens') return load.outputTokens;
  return load.inputTokens + load.outputTokens;
}

function seconds(ms: number): string {
  return formatSeconds(Math.max(1, ms / 1000));
}
