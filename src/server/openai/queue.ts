/**
 * A bounded queue before what answers: so many passes at a time, each with up to a batch of those that
 * wait. Who comes when it is full is told so at once; who goes away while waiting leaves it.
 */
export interface Job<T, R> {
  readonly value: T;
  readonly signal: AbortSignal;
  resolve(result: R): void;
  reject(error: unknown): void;
}

export interface QueueOptions<T, R> {
  /** Most that wait. */
  readonly size: number;
  readonly batch: number;
  readonly concurrency: number;
  work(values: readonly T[], signal: AbortSignal): Promise<readonly R[]>;
}

/** The queue is full. */
export class QueueFull extends Error {}

export class Queue<T, R> {
  private readonly waiting: Job<T, R>[] = [];
  private readonly options: QueueOptions<T, R>;
  /** Passes under way, and jobs in them. */
  private passes = 0;
  private inHand = 0;

  constructor(options: QueueOptions<T, R>) {
    this.options = options;
  }

  get length(): number {
    return this.waiting.length;
  }

  get inProgress(): number {
    return this.inHand;
  }

  /** @throws QueueFull; the signal's reason when it is aborted first */
  ask(value: T, signal: AbortSignal): Promise<R> {
    return this.askAll([value], signal).then(([result]) => result!);
  }

  /** Several of one request: all of them fit, or none. */
  askAll(values: readonly T[], signal: AbortSignal): Promise<R[]> {
    if (signal.aborted) return Promise.reject(signal.reason);
    const { size, concurrency } = this.options;
    const isIdle = this.passes < concurrency && this.waiting.length === 0;
    if (!isIdle && this.waiting.length + values.length > size) {
      return Promise.reject(new QueueFull());
    }
    return Promise.all(values.map((value) => this.join(value, signal)));
  }

  private join(value: T, signal: AbortSignal): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      const job: Job<T, R> = { value, signal, resolve, reject };
      signal.addEventListener('abort', () => {
        const at = this.waiting.indexOf(job);
        if (at >= 0) this.waiting.splice(at, 1);
        reject(signal.reason);
      });
      this.waiting.push(job);
      // Those of the same moment go together.
      queueMicrotask(() => this.start());
    });
  }

  private start(): void {
    const { batch, concurrency } = this.options;
    while (this.passes < concurrency && this.waiting.length > 0) {
      void this.pass(this.waiting.splice(0, batch));
    }
  }

  private async pass(jobs: readonly Job<T, R>[]): Promise<void> {
    this.passes++;
    this.inHand += jobs.length;
    try {
      const values = jobs.map(({ value }) => value);
      const results = await this.options.work(values, whenAll(jobs.map(({ signal }) => signal)));
      for (const [i, job] of jobs.entries()) job.resolve(results[i]!);
    } catch (error) {
      for (const job of jobs) job.reject(error);
    } finally {
      this.passes--;
      this.inHand -= jobs.length;
      this.start();
    }
  }
}

/** Aborted when all of them are: work that nobody waits for any more. */
function whenAll(signals: readonly AbortSignal[]): AbortSignal {
  const all = new AbortController();
  let left = signals.length;
  for (const signal of signals) {
    const gone = () => {
      if (--left === 0) all.abort(signal.reason);
    };
    if (signal.aborted) gone();
    else signal.addEventListener('abort', gone, { once: true });
  }
  return all.signal;
}
